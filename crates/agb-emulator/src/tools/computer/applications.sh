# Prints "has <program>" for those arguments that are installed, then every application's description after a line
# "=== menu" or "=== desktop".
for program; do
    if command -v "$program" >/dev/null 2>&1; then echo "has $program"; fi
done
for file in /usr/share/applications/*.desktop /usr/local/share/applications/*.desktop \
    "$HOME"/.local/share/applications/*.desktop; do
    [ -r "$file" ] || continue
    echo "=== menu"
    cat -- "$file"
    echo
done
for file in "$HOME"/Desktop/*.desktop; do
    [ -r "$file" ] || continue
    echo "=== desktop"
    cat -- "$file"
    echo
done
