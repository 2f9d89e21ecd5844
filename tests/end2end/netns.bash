# Several hosts on one machine, for the end-to-end tests that need them: each is a network namespace with an address of its
# own on a bridge. Everything lives in a private network, mount and process namespace, so that nothing is left behind however
# the test ends. Source it first; it runs the script again inside, or skips (77) with the reason.
#
# A host NAME is reached as 10.77.0.NUMBER; its interface is eth0, its port at the bridge p-NAME.
inside_hosts() {
    local tool why
    for tool in ip nft unshare nsenter; do
        command -v "$tool" >/dev/null || { echo "skipped: no $tool (deploy/packages names the package)"; exit 77; }
    done
    # The names of network namespaces are files in /run/netns: a /run of its own keeps them private.
    why=$(unshare --net --mount --pid --fork --kill-child --mount-proc sh -c \
        'mount -t tmpfs none /run && ip netns add probe && ip link add br9 type bridge && nft add table inet probe' 2>&1) ||
        { echo "skipped: needs root and network namespaces, a bridge and nftables in the kernel: $why"; exit 77; }
    exec unshare --net --mount --pid --fork --kill-child --mount-proc env SOUK_HOSTS=inside "$0" "$@"
}
[[ ${SOUK_HOSTS:-} == inside ]] || inside_hosts "$@"
unset SOUK_HOSTS
mount -t tmpfs none /run || exit 1
. "$(dirname "${BASH_SOURCE[0]}")/lib.bash"

ip link set lo up
for bridge in br0 br1; do ip link add $bridge type bridge && ip link set $bridge up || fail "bridge"; done

# A command on a host.
at() {
    local host=$1
    shift
    nsenter --net="/run/netns/$host" -- "$@"
}

# host NAME NUMBER: a machine with an address on the bridge.
host() {
    ip netns add "$1" && ip link add "p-$1" type veth peer name eth0 netns "$1" && ip link set "p-$1" master br0 up &&
        at "$1" ip link set lo up && at "$1" ip addr add "10.77.0.$2/24" dev eth0 && at "$1" ip link set eth0 up ||
        fail "host $1"
    enter[$1]="nsenter --net=/run/netns/$1 --"
}

# behind ROUTER NAME: a machine of a private network behind NAT: it can dial out and cannot be dialed.
behind() {
    ip netns add "$2" && ip link add "p-$2" netns "$1" type veth peer name eth0 netns "$2" &&
        at "$1" ip addr add 192.168.7.1/24 dev "p-$2" && at "$1" ip link set "p-$2" up &&
        at "$2" ip link set lo up && at "$2" ip addr add 192.168.7.2/24 dev eth0 && at "$2" ip link set eth0 up &&
        at "$2" ip route add default via 192.168.7.1 &&
        at "$1" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward' &&
        at "$1" nft -f - <<<'table ip nat { chain out { type nat hook postrouting priority 100; oifname "eth0" masquerade; }; }' ||
        fail "host $2 behind $1"
    enter[$2]="nsenter --net=/run/netns/$2 --"
}

unplug() { ip link set "p-$1" down || fail "unplug $1"; }
plug() { ip link set "p-$1" up || fail "plug $1"; }
# To the other bridge, and back.
move() { ip link set "p-$1" master "$2" || fail "move $1"; }

# drop HOST RULE...: what matches on its way in is dropped, until `undrop HOST`.
drop() {
    local host=$1
    shift
    at "$host" nft -f - <<<"table inet cut { chain in { type filter hook input priority 0; $* drop; }; }" || fail "drop $*"
}
undrop() { at "$1" nft delete table inet cut || fail "undrop $1"; }

# node HOST OPTION...: a node on that host, reachable at all of its addresses.
node() {
    local n=$1
    shift
    start "$n" --listen 0.0.0.0:7071 --set limits.silence_s=6 "$@"
}
