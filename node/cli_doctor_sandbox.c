/*
 * Doctor's look at the sandbox: which layers are active for a program that is started from here, and what each missing one
 * costs. Runs the self-test in a launcher of its own.
 */
#include "node/cli_doctor.h"
#include "sandbox/linux.h"

#include <stdio.h>
#include <string.h>

/* What to do about a missing layer; "" where there is nothing to mend. */
static const char *next_step(enum sandbox_layer layer)
{
    switch (layer) {
    case SANDBOX_LAYER_USER:
    case SANDBOX_LAYER_PID:
    case SANDBOX_LAYER_MOUNT:
    case SANDBOX_LAYER_NET:
    case SANDBOX_LAYER_IPC:
        return "run the node as root, or allow unprivileged user namespaces (sysctl user.max_user_namespaces, "
               "kernel.unprivileged_userns_clone)";
    case SANDBOX_LAYER_SECCOMP:
        return "a kernel with seccomp filters";
    case SANDBOX_LAYER_CGROUP_MEMORY:
        return "give the node a control group of its own (Delegate=yes in the unit), or deploy with --allow-weak";
    case SANDBOX_LAYER_CGROUP_PIDS:
    case SANDBOX_LAYER_CGROUP_CPU:
        return "give the node a control group of its own (Delegate=yes in the unit)";
    case SANDBOX_LAYER_UTS:
    case SANDBOX_LAYER_CGROUP_NS:
    case SANDBOX_LAYER_PROC:
    case SANDBOX_LAYER_LANDLOCK:
    case SANDBOX_LAYER_CGROUP_KILL:
    case SANDBOX_LAYER_OWN_IDS:
        return "";
    }
    return "";
}

static void tell_missing(struct doctor *d, enum sandbox_layer layer, const char *why)
{
    struct buf detail = {0};
    bool required = sandbox_layer_required(layer), memory = layer == SANDBOX_LAYER_CGROUP_MEMORY;
    buf_printf(&detail, "no layer %s (%s): %s", sandbox_layer_name(layer), sandbox_layer_meaning(layer), why);
    if (required || memory)
        buf_put_str(&detail, required ? "; no deployment can run" : "; deployments are refused without --allow-weak");
    doctor_tell(d, required || memory ? HEALTH_WARN : HEALTH_NOTE, "sandbox", buf_cstr(&detail), next_step(layer));
    buf_close(&detail);
}

void doctor_sandbox(struct doctor *d)
{
    struct sandbox_layers layers;
    struct buf why = {0}, active = {0};
    if (sandbox_self_test(NULL, &layers, &why) != ERR_OK) {
        doctor_tell(d, HEALTH_WARN, "sandbox", buf_cstr(&why), "no deployment can run until it does");
        buf_close(&why);
        return;
    }
    buf_put_str(&active, "layers seen to work from here:");
    for (int i = 0; i < SANDBOX_LAYER_COUNT; i++) {
        if (layers.active[i])
            buf_printf(&active, " %s", sandbox_layer_name((enum sandbox_layer)i));
    }
    if (layers.cgroup_version > 0)
        buf_printf(&active, " (control groups version %d)", layers.cgroup_version);
    if (layers.active[SANDBOX_LAYER_USER])
        doctor_tell(d, HEALTH_OK, "sandbox", buf_cstr(&active), "");
    for (int i = 0; i < SANDBOX_LAYER_COUNT; i++) {
        if (!layers.active[i] && (i == SANDBOX_LAYER_USER || layers.active[SANDBOX_LAYER_USER]))
            tell_missing(d, (enum sandbox_layer)i, layers.missing[i]);
    }
    buf_close(&active);
    buf_close(&why);
}
