#!/bin/sh
# datasets/get: finds, fetches through mirrors that fail or lie (a curl of our own; no network is used), checks, and
# puts in place only what is right.
set -u
get=$SRCDIR/datasets/get
bad=0
pass() { echo "ok - $1"; }
miss() { echo "not ok - $1: $2"; bad=1; }

real=${CORERING_DATA:+$CORERING_DATA/mnist}
unset CORERING_DATA XDG_CACHE_HOME
cd "$WORK" || exit 1
HOME=$WORK/home
export HOME
mkdir home bin local

# says NAME STATUS PATTERN WORDS...: get ends with this status and a line on stderr that matches.
says() {
    name=$1 want=$2 pattern=$3; shift 3
    "$get" "$@" >out 2>err </dev/null; status=$?
    if test $status != "$want"; then miss "$name" "status $status, not $want: $(tail -n 1 err)"
    elif ! grep -q -e "$pattern" err; then miss "$name" "says: $(cat err)"
    elif test $status != 0 && test -s out; then miss "$name" "prints: $(cat out)"
    elif ls -d ./*.tmp-* home/.cache/corering/*.tmp-* >/dev/null 2>&1; then miss "$name" "leaves a temporary folder"
    else pass "$name"
    fi
}

# is NAME TEST...: a condition.
is() { name=$1; shift; if test "$@"; then pass "$name"; else miss "$name" "$*"; fi; }

# Mirrors: the first does not answer, the second sends other bytes, the third is right.
cat >bin/curl <<'EOF'
#!/bin/sh
while test $# -gt 1; do
    if test "$1" = -o; then file=$2; fi
    shift
done
echo "$1" >>"$WORK/asked"
case $1 in
*cvdf-datasets*) echo "not what you asked for" | gzip >"$file" ;;
*fgnt*) test "${MIRROR:-}" && cp "$MIRROR/${1##*/}" "$file" ;;
*) exit 6 ;;
esac
EOF
chmod +x bin/curl
PATH=$WORK/bin:$PATH

says 'unknown data set' 2 'there are mnist and fashion-mnist' minst
says 'unknown option' 2 "unknown option '--form'" mnist --form x
says 'missing --from' 2 'no such folder' mnist --from nowhere
says 'no data set' 2 'usage: ' --from local
says 'nothing reachable' 3 'corering data synth DIR' mnist
is 'every mirror is asked once' "$(sort asked | uniq -d | wc -l) $(wc -l <asked)" = '0 4'
echo rubbish >local/train-images-idx3-ubyte
says 'wrong file is refused' 3 'its SHA-256 is another' mnist --from local
is 'nothing is put in place' ! -e home/.cache/corering/mnist

if ! test "$real" || ! test -e "$real/train-images-idx3-ubyte.gz"; then
    echo 'skip - the rest of datasets/get: no MNIST, name the folder above it in CORERING_DATA'
    exit $bad
fi

says 'from a folder' 0 'mnist is in here' mnist --from "$real" --to here/
is 'the folder is printed' "$(cat out)" = here
is 'unpacked' "$(wc -c <here/train-images-idx3-ubyte)" = 47040016
says 'a second time' 0 'already, checked' mnist --to here
is 'the folder is printed again' "$(cat out)" = here

echo mine >here/mine
echo damaged >here/t10k-labels-idx1-ubyte
gzip -c here/train-labels-idx1-ubyte >local/train-labels.idx1-ubyte.gz
rm here/train-labels-idx1-ubyte
cp "$real"/t10k-* local
says 'repairs a folder' 0 'train-labels.idx1-ubyte.gz' mnist --from=local --to=here
is 'other files stay' -e here/mine
is 'the repaired file is right' "$(wc -c <here/t10k-labels-idx1-ubyte)" = 10008

rm -f asked
MIRROR=$real
export MIRROR WORK
says 'from the mirrors' 0 'sent something else' mnist
is 'where --to says by default' "$(cat out)" = "$HOME/.cache/corering/mnist"
is 'failing mirrors are not asked again' "$(wc -l <asked)" = 6
rm -rf home/.cache
CORERING_DATA=${real%/mnist} says 'from CORERING_DATA' 0 "from $real" mnist
exit $bad
