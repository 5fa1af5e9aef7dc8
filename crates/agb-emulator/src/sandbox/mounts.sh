# Runs in a mount namespace of its own. Arguments: mounts as "<ro|rw> <source> <target>", then "--", then the command
# to go on with. A mount of "ro" stays so for the session, as the next namespace can't change it.
set -eu
while [ "$1" != -- ]; do
    mount --rbind -- "$2" "$3"
    if [ "$1" = ro ]; then
        mount -o remount,bind,ro -- "$3"
    fi
    shift 3
done
shift
if [ -d /dev/shm ]; then
    mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /dev/shm
fi
exec "$@"
