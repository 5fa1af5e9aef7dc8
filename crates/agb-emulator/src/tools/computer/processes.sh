# Lists processes, one a line: process id, name, command line, with tabs between. Arguments: a text in the environment of
# those that are meant, a text that it must not have.
for file in $(grep -lF -- "$1" /proc/[0-9]*/environ 2>/dev/null); do
    if grep -qF -- "$2" "$file" 2>/dev/null; then continue; fi
    pid=${file#/proc/}
    pid=${pid%/environ}
    name=$(cat "/proc/$pid/comm" 2>/dev/null) || continue
    line=$(tr '\0\n\t' '   ' <"/proc/$pid/cmdline" 2>/dev/null) || continue
    printf '%s\t%s\t%s\n' "$pid" "$name" "$line"
done
