# Lists the managed windows, one a line: number, geometry, process id, process name, title, with tabs between.
wmctrl -l 2>/dev/null | while read -r id rest; do
    id=$((id))
    # Fails for a window that was closed meanwhile.
    geometry=$(xdotool getwindowgeometry --shell "$id" 2>/dev/null) || continue
    pid=$(xdotool getwindowpid "$id" 2>/dev/null) || pid=0
    name=$(cat "/proc/$pid/comm" 2>/dev/null) || name=
    title=$(xdotool getwindowname "$id" 2>/dev/null | tr '\n\t' '  ')
    printf '%s\t%s\t%s\t%s\t%s\n' "$id" "$(echo $geometry)" "$pid" "$name" "$title"
done
