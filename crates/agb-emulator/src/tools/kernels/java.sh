# Starts the Java interpreter. Arguments: the program java, the source of the kernel, which java takes from files only.
directory=$(mktemp -d "${TMPDIR:-/tmp}/.java-XXXXXX") || exit 1
printf '%s' "$2" >"$directory/Kernel.java"
exec "$1" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData -Dfile.encoding=UTF-8 -Dsun.stdout.encoding=UTF-8 \
    -Dsun.stderr.encoding=UTF-8 -Dstdout.encoding=UTF-8 -Dstderr.encoding=UTF-8 -Djava.awt.headless=true \
    "$directory/Kernel.java"
