#!/usr/bin/env bash
# The cores touch nothing outside: no undefined symbol of their archives is a clock, randomness,
# socket, file, thread or event loop call. Looks at the archives of the build in $SOUK_BUILD.
. "$(dirname "$0")/lib.bash"
build=${SOUK_BUILD:-$top/build}

impure='^(uv_.*|rocksdb_.*|sqlite3_.*|curl_.*'
impure+='|time|gettimeofday|clock|clock_gettime|timespec_get|nanosleep|usleep|sleep|localtime.*|gmtime.*|setitimer|alarm'
impure+='|s?rand|rand_r|s?random|[demlj]rand48|getrandom|getentropy|arc4random.*|randombytes.*|crypto_(box|kx|kem|sign|sign_ed25519)_keypair|crypto_[a-z0-9_]*_keygen'
impure+='|socket|socketpair|bind|listen|accept4?|connect|send|sendto|sendmsg|recv|recvfrom|recvmsg|getaddrinfo|poll|select|epoll_.*'
impure+='|open|open64|openat|openat64|fopen|fopen64|fdopen|freopen|read|write|pread.*|pwrite.*|fsync|fdatasync|rename|unlink|mkdir|opendir|stat|fstat|lstat|access|mmap|mmap64|chmod|printf|puts|putchar|stdout|stdin'
impure+='|fork|vfork|exec[vlpe]*|posix_spawn.*|system|popen|kill|signal|sigaction|pthread_.*|thrd_.*|mtx_.*|getenv|secure_getenv|setenv|getpid|gethostname|exit|_exit|syscall|ioctl)$'

# One archive or object: prints its impure symbols.
check() {
    local file
    while read -r file; do
        nm -u "$file" 2>/dev/null | awk -v file="${file##*/}" -v impure="$impure" '
            /:$/ { object = $1 }
            $1 == "U" { sub(/@.*/, "", $2); sub(/^__/, "", $2); sub(/_chk$/, "", $2)
                        if ($2 ~ impure) print file " " object " calls " $2 }'
    done < <(find "$1" -maxdepth 1 \( -name 'libcrdt.a' -o -name 'libnet.a' -o -name 'libstore.a' \
        -o -name 'libapi.a' -o -name 'libsandbox.a' -o -name 'libmarket.a' -o -name 'libnode.a' \) | sort)
}

# try CODE: the symbols that a core with this code would ask for.
try() {
    mkdir -p "$work/tree"
    printf '%s\n' "$1" | cc -x c -O0 -w -c -o "$work/x.o" - && ar rcs "$work/tree/libcrdt.a" "$work/x.o"
}
try '#include <time.h>
long f(void){return time(0);}'; expect 'calls time'
try 'int open(const char*,int,...); int f(void){return open("/",0);}'; expect 'calls open'
try 'void randombytes_buf(void*,unsigned long); void f(void){char b[4];randombytes_buf(b,4);}'; expect 'calls randombytes_buf'
try 'int uv_now(void*); int f(void){return uv_now(0);}'; expect 'calls uv_now'
try 'int socket(int,int,int); int f(void){return socket(1,1,1);}'; expect 'calls socket'
try 'int memcmp(const void*,const void*,unsigned long); int f(void*a){return memcmp(a,a,3);}'; expect_none

[[ -e $build/libcrdt.a ]] || { echo "no libcrdt.a in $build"; exit 1; }
got=$(check "$build")
[[ -z $got ]] || { printf '%s\n' "$got"; exit 1; }
echo ok
