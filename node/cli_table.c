/*
 * The verbs and their options: the one table that parsing, help, man page and completion read. Adding
 * a verb is one row here, its declaration in cli.h and its function.
 */
#include "node/cli.h"

#define AS                                                                                                             \
    {                                                                                                                  \
        "as", "NAME", "Sign as this author key (default: publisher)."                                                  \
    }
#define END                                                                                                            \
    {                                                                                                                  \
        .name = NULL                                                                                                   \
    }

static const struct cli_option globals[] = {
    {"dir", "D", "The data directory (default: $SOUK_DIR, else /var/lib/souk for root, else ~/.local/share/souk)."},
    {"socket", "PATH", "The admin socket of the node to talk to (default: D/admin.sock); it has $SOUK_TIMEOUT seconds to answer (60)."},
    {"o", "FORMAT", "Print for a human (the default), as json or as jsonl, one object a line."},
    {"help", NULL, "Say how this is used, and stop."},
};

static const struct cli_option run_options[] = {
    {"http", "HOST:PORT", "Where the HTTP API listens (default 127.0.0.1:7070; port 0 picks a free one)."},
    {"listen", "HOST:PORT", "Where other nodes connect (default 127.0.0.1:7071; port 0 picks a free one)."},
    {"advertise", "HOST:PORT", "The address that other nodes are told."},
    {"peer", "ADDR", "A node to stay connected to, HOST:PORT or KEY@HOST:PORT; may be repeated."},
    {"mesh", "ID", "Join this mesh on first start; later it must be the same."},
    {"join", "INVITATION", "Join the mesh of this invitation (souk mesh invite) as a member; nothing else is needed."},
    {"new-mesh", "NAME", "Found a mesh of this name on first start."},
    {"admission", "open|members", "Who may write in the new mesh (default open)."},
    {"set", "KEY=VALUE", "Any setting of souk.conf; may be repeated."},
    END};

static const struct cli_option init_options[] = {
    {"name", "N", "What this node is called; written to souk.conf."},
    {"new-mesh", "NAME", "Found a mesh of this name."},
    {"mesh", "ID", "Join this mesh."},
    {"admission", "open|members", "Who may write in the new mesh (default open)."},
    END};

static const struct cli_option status_options[] = {{"w", NULL, "Watch: draw it again every second."}, END};

static const struct cli_option put_options[] = {
    AS, {"create", NULL, "Only if there is none of this name yet (exit status 4 otherwise)."}, END};

static const struct cli_option as_options[] = {AS, END};

static const struct cli_option ls_options[] = {{"limit", "N", "At most N entries (default 30)."},
                                               {"all", NULL, "Every entry."},
                                               {"owner", "KEY", "Only entries of this author."},
                                               {"tag", "T", "Only entries with this tag."},
                                               {"model-type", "TYPE", "Only models of this type, for example LLM."},
                                               {"framework", "F", "Only entries of this framework."},
                                               {"license", "L", "Only entries under this licence."},
                                               {"capability", "C", "Only entries with this capability."},
                                               {"text", "WORDS", "Only entries that contain all these words."},
                                               END};

static const struct cli_option search_options[] = {
    {"kind", "K", "Only model, agent or server (default: all three)."},
    {"tag", "T", "Only entries with this tag; may be repeated."},
    {"max-price", "P", "At most this many USD for a million input tokens."},
    {"limit", "N", "At most N entries (default 30)."},
    END};

static const struct cli_option import_options[] = {AS,
                                                   {"limit", "N", "Stop after N rows that can be written."},
                                                   {"dry-run", NULL, "Check every row and write none."},
                                                   {"kind", "K", "The kind of bare records in jsonl (default model)."},
                                                   END};

static const struct cli_option deploy_options[] = {
    {"manifest", "FILE", "A manifest in JSON (see deploy/OPERATE.md); options and COMMAND come before what it says."},
    {"memory", "MB", "Memory of all its processes together (default 256)."},
    {"timeout", "S", "Wall time of one run (default 10)."},
    {"workers", "N", "Keep up to N of it loaded and give them one request after another (default 0: one run a call)."},
    {"input", "KIND", "What it reads: json (the default), text or bytes."},
    {"output", "KIND", "What it writes: json (the default), text or bytes."},
    {"mount", "FROM:TO", "Show a file, a folder or a blob (blob=HASH:TO) to it, read-only; may be repeated."},
    {"env", "NAME=VALUE", "A variable of its environment; may be repeated."},
    {"share", NULL, "Let other nodes of the mesh route invokes here."},
    {"allow-weak", NULL, "Run it where the kernel cannot bound its memory, too."},
    END};

static const struct cli_option invoke_options[] = {
    {"d", "JSON|@FILE|-", "The input: text, a file, or stdin (default: none)."},
    {"on", "NODE", "The node that is to serve, by the start of its id."},
    {"timeout", "S", "Wall time at most."},
    {"receipt", "FILE", "Write the receipt to this file."},
    END};

static const struct cli_option receipt_options[] = {
    {"limit", "N", "At most N receipts (default 30)."}, {"all", NULL, "Every receipt."}, END};

static const struct cli_option sync_options[] = {{"now", NULL, "Begin and return; do not wait for what comes."}, END};

static const struct cli_option token_options[] = {
    {"scope", "SCOPE", "read, write (includes read) or invoke; several with commas."},
    {"name", "N", "What the token is for."},
    AS,
    END};

static const struct cli_option retire_options[] = {
    {"will", "FILE", "Change nothing now: write the signed statements to FILE, for the day on which OLD is lost."}, END};

static const struct cli_option writer_rm_options[] = {
    AS, {"restate", NULL, "First put the present content again as the owner's, so that it stays."}, END};

static const struct cli_option charter_options[] = {
    {"as", "NAME", "Sign as this author key (default: the founder's, else an operator's)."}, END};

static const struct cli_option admit_options[] = {
    {"role", "ROLE", "What the key is to the mesh: operator may admit and remove others; any other word is a remark (default member)."},
    {"as", "NAME", "Sign as this author key (default: the founder's, else an operator's)."},
    END};

static const struct cli_option invite_options[] = {
    {"expires", "SPAN", "How long it can be used: 30m, 12h, 7d, 2w (default 7d)."},
    {"role", "ROLE", "What the newcomer is to the mesh, as a remark (default member)."},
    {"address", "HOST:PORT", "Where this node is reached from outside; may be repeated (default: what peers are told)."},
    {"as", "NAME", "Sign as this author key (default: the founder's, else an operator's)."},
    END};

static const struct cli_option remove_options[] = {
    {"only", NULL, "This key alone, not the other one that the same invitation brought in."},
    {"restate", NULL, "An operator's: keep what it admitted and removed, as the founder's word."},
    {"drop", NULL, "An operator's: undo what it admitted and removed."},
    {"as", "NAME", "Sign as this author key (default: the founder's, else an operator's)."},
    END};

static const struct cli_verb verbs[] = {
    {"run", "", 0, 0, run_options, "Run a node in the foreground.",
     "Creates the directory, its keys and its mesh on first start: a new open mesh unless --mesh names one to join. "
     "Prints one line that starts with `ready` when all listeners are open. SIGTERM and SIGINT stop it cleanly, SIGHUP "
     "reads souk.conf again.",
     cli_run},
    {"init", "", 0, 0, init_options, "Make a data directory without starting a node.", NULL, cli_init},
    {"status", "", 0, 0, status_options, "What the node holds, whom it is connected to, whether it is ready.", NULL,
     cli_status},
    {"doctor", "", 0, 0, NULL, "Check the directory, the machine and the mesh, and say what to do next.",
     "Knocks at the doors of the peers and tells a cut network, a stopped node, a blocked port, another mesh and a clock "
     "that is off apart. Exit status 1 if a check failed; notes and warnings do not count.", cli_doctor},
    {"put", "KIND FILE|-", 2, 2, put_options, "Create or update an entry from JSON; prints its id.",
     "KIND is model, agent or server. A name that this author already has becomes a new revision.", cli_put},
    {"get", "KIND ID|NAME", 2, 2, NULL, "Show one entry.", NULL, cli_get},
    {"ls", "KIND", 1, 1, ls_options, "List entries by name.", "KIND is model, agent, server or node.", cli_ls},
    {"rm", "KIND ID|NAME", 2, 2, as_options, "Delete an entry.", NULL, cli_rm},
    {"history", "KIND ID|NAME", 2, 2, NULL, "The revisions of an entry, newest first.", NULL, cli_history},
    {"search", "TEXT", 1, 1, search_options, "Find entries that contain all these words.", NULL, cli_search},
    {"import", "FORMAT FILE|-", 2, 2, import_options, "Register a catalogue.",
     "FORMAT is jsonl (a line {\"kind\":\"model\",\"model\":{...}} or, with --kind, a bare record), models.dev (its "
     "api.json) or mcp-registry (an answer of /v0.1/servers, or the older seed file). Every row that is refused is reported "
     "with its line or number and the reason, and counted; the exit status is 1 only if nothing could be read or written.",
     cli_import},
    {"export", "jsonl [FILE]", 1, 2, NULL, "Write the catalogue as jsonl; import reads it back.",
     "Reads the directory itself when no node runs.", cli_export},
    {"verify", "[KIND ID|NAME]", 0, 2, NULL, "Check every signature and hash on disk again, or those of one entry.",
     "For one entry each check is named. A node may go on writing meanwhile; without one the directory itself is read. "
     "Exit status 6 if a check failed.",
     cli_verify},
    {"peer ls", "", 0, 0, NULL, "The nodes that this one knows: state, lag, queue, score and why it changed.",
     "LAG is the round trip while both hold the same, else the time since they did. QUEUE waits to be sent. SCORE runs "
     "from -100 (banned) to 100; the last table gives the reason of each recent change. NOTE says since when and why a "
     "peer is away. The table between says how deltas spread: which way they go whole, ids asked for, and messages sent/received.",
     cli_peer_ls},
    {"peer add", "ADDR", 1, 1, NULL, "Connect to HOST:PORT or KEY@HOST:PORT and stay connected.",
     "The peer is pinned: it is dialed whenever it is away, also after a restart, until souk peer rm.",
     cli_peer_change},
    {"peer rm", "ID|ADDR", 1, 1, NULL, "Forget a peer.", NULL, cli_peer_change},
    {"peer ban", "ID", 1, 1, NULL, "Close the connection to a peer and accept no other.", NULL, cli_peer_change},
    {"peer unban", "ID", 1, 1, NULL, "Allow a banned peer again.", NULL, cli_peer_change},
    {"mesh charter", "show | set KEY=VALUE...", 1, 16, charter_options, "Show the rules of the mesh, or change them.",
     "The fields are admission (open or members; the founder's alone to set), about and contact; an empty value takes one "
     "away. In a mesh of members only admitted keys write; whoever is not admitted may read. Making a mesh one of members "
     "admits this node's own keys.",
     cli_mesh_charter},
    {"mesh ls", "", 0, 0, NULL, "Founder, operators, members and removed keys.", NULL, cli_mesh_ls},
    {"mesh admit", "KEY", 1, 1, admit_options, "Admit an author's or a node's key to the mesh.",
     "A key that was removed is admitted again. Only the founder makes operators.", cli_mesh_admit},
    {"mesh remove", "KEY", 1, 1, remove_options, "Remove a key from the mesh.",
     "Its entries are hidden, its later writes count nowhere, and its connections close; what others built on its writes "
     "stays. Only the founder removes an operator, and what the operator admitted is kept only with --restate.",
     cli_mesh_remove},
    {"mesh invite", "", 0, 0, invite_options, "Print an invitation for one newcomer.",
     "The newcomer types souk run --join INVITATION, and this node admits its node key and its author key when it comes. It works "
     "once, until it expires, and only while this node (or another that holds the same author key) can be reached.",
     cli_mesh_invite},
    {"sync", "", 0, 0, sync_options, "Compare sets with the peers now and fetch what is missing; shows how far it is.", NULL, cli_sync},
    {"conflicts", "", 0, 0, NULL, "Fields that were edited on two sides at once: each version, its author, and how to settle it.",
     "Both edits are kept and one is shown, the same on every node. The next write of the field settles it.", cli_conflicts},
    {"token new", "--scope SCOPE", 0, 0, token_options, "Make a token for the HTTP API; it is shown once.", NULL,
     cli_token_new},
    {"token ls", "", 0, 0, NULL, "The tokens, without their text.", NULL, cli_token_ls},
    {"token rm", "ID", 1, 1, NULL, "Withdraw a token.", NULL, cli_token_rm},
    {"key ls", "", 0, 0, NULL, "The author keys of this node.", NULL, cli_key_ls},
    {"key new", "NAME", 1, 1, NULL, "Make an author key.", NULL, cli_key_new},
    {"key export", "NAME [FILE]", 1, 2, NULL, "Write an author key, encrypted with a passphrase.",
     "The passphrase is asked for, or taken from $SOUK_PASSPHRASE.", cli_key_export},
    {"key import", "FILE", 1, 1, NULL, "Take in an exported author key.",
     "The passphrase is asked for, or taken from $SOUK_PASSPHRASE. The same key may be on several nodes.",
     cli_key_import},
    {"key retire", "OLD NEW", 2, 2, retire_options, "Let another author key of this node take the place of one.",
     "Every entry of OLD gets a copy of the same name under NEW, and says in OLD's signed word where it went: readers by name "
     "follow, readers by id are told. May be repeated after an interruption. OLD keeps its power over its own entries.",
     cli_key_retire},
    {"key succeed", "FILE", 1, 1, as_options, "Take over the entries of a lost key, by the will that it left.",
     "The will is made by souk key retire OLD NEW --will FILE while OLD is at hand; --as names NEW here.",
     cli_key_succeed},
    {"writer add", "KIND ID|NAME KEY", 3, 3, as_options, "Let another author write an entry.", NULL, cli_writer_add},
    {"writer rm", "KIND ID|NAME KEY", 3, 3, writer_rm_options,
     "Take that back, with all that this author's writes show.", NULL, cli_writer_rm},
    {"writer ls", "KIND ID|NAME", 2, 2, NULL, "Who may write an entry besides its owner.", NULL, cli_writer_ls},
    {"deploy", "ID|NAME [-- COMMAND...]", 1, 257, deploy_options, "Let this node run a program for a model or an agent.",
     "The program gets the input on stdin and gives its answer on stdout, in a sandbox without network: /usr read-only, what is "
     "mounted, a private /tmp. It and the files it is mounted are opened and hashed now; if one changes, invokes fail as setup until it is "
     "deployed again. Defaults: JSON in and out, 256 MB, 10 s. Exit status 5 where this machine lacks what the sandbox needs. "
     "See also souk deploy ls and souk deploy rm.",
     cli_deploy},
    {"deploy ls", "", 0, 0, NULL, "What is deployed on this node.", NULL, cli_deploy_ls},
    {"deploy rm", "ID|NAME", 1, 1, NULL, "End a deployment and what runs of it.", NULL, cli_deploy_rm},
    {"invoke", "ID|NAME", 1, 1, invoke_options, "Run what is deployed for a model or an agent, here or on a node that shares it.",
     "The output goes to stdout as the program gave it. Exit status 8 if time ran out.", cli_invoke},
    {"push", "FILE", 1, 1, NULL, "Keep a file as a blob that other nodes can fetch; prints its hash.", NULL, cli_push},
    {"pull", "HASH [FILE]", 1, 2, NULL, "Fetch a blob from whichever connected node has it.",
     "Goes on where an earlier pull stopped. Prints where the blob lies, or copies it to FILE.", cli_pull},
    {"receipt ls", "", 0, 0, receipt_options, "Receipts of invokes that this node issued or received, newest first.", NULL,
     cli_receipt_ls},
    {"receipt show", "ID", 1, 1, NULL, "Print a receipt as it was signed.", NULL, cli_receipt_show},
    {"receipt verify", "FILE|-", 1, 1, NULL, "Check a receipt's form and signature; needs no node.",
     "Exit status 6 if it does not hold.", cli_receipt_verify},
    {"config show", "", 0, 0, NULL, "Every setting, its value and where it came from.", NULL, cli_config_show},
    {"config check", "", 0, 0, NULL, "Read souk.conf and the environment and report every mistake.", NULL,
     cli_config_check},
    {"log", "LEVEL", 1, 1, NULL, "Change what the node logs: error, warn, info, debug, or SUBSYSTEM=LEVEL.", NULL,
     cli_log},
    {"version", "", 0, 0, NULL, "Print the version.", NULL, cli_version},
    {"help", "[man|completion]", 0, 1, NULL, "Print all help, the man page or the completion for bash.", NULL,
     cli_help},
};

const struct cli_verb *cli_verb_at(size_t i)
{
    return i < sizeof verbs / sizeof *verbs ? &verbs[i] : NULL;
}

const struct cli_option *cli_global_at(size_t i)
{
    return i < sizeof globals / sizeof *globals ? &globals[i] : NULL;
}
