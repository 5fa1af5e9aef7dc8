# The first process of a session's PID namespace: reports its process id as the host sees it, then lives until the
# emulator closes the pipe on its standard input. `wait` also reaps the orphans it inherits.
set -eu
read -r pid rest </proc/self/stat
mount -t proc proc /proc
exec 3<&0 </dev/null
echo "ready $pid"
exec >/dev/null 2>&1
while :; do
    cat <&3 &
    # Anything but success: somebody killed cat, the pipe is still open.
    if wait "$!"; then exit 0; fi
done
