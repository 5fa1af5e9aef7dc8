# Ends a session's processes when the emulator closes the pipe on standard input, or dies. The argument is the text
# that marks the session's processes (start.sh); lines "+ <id>" and "- <id>" name its process groups.
marker=$1
groups=
while read -r change id; do
    case $change in
    +) groups="$groups $id" ;;
    -)
        rest=
        for group in $groups; do
            [ "$group" = "$id" ] || rest="$rest $group"
        done
        groups=$rest
        ;;
    esac
done
for group in $groups; do
    kill -s KILL -- "-$group" 2>/dev/null
done
# Where there is no /proc, the groups are all that is known. Repeated, as a process may be making children meanwhile;
# whoever is found twice has ended and waits for a parent that doesn't care, or is about to end.
round=0
last=
while [ -d /proc/self ] && [ "$round" -lt 50 ]; do
    # Its exit code says nothing: some files are always unreadable or gone.
    found=$(grep -lF -- "$marker" /proc/[0-9]*/environ /proc/[0-9]*/limits 2>/dev/null)
    [ "$found" != "$last" ] || break
    last=$found
    for file in $found; do
        id=${file#/proc/}
        kill -KILL "${id%/*}" 2>/dev/null
    done
    round=$((round + 1))
done
exit 0
