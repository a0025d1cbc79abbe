#!/bin/sh
# Recipes: the built-in ones are what their files say and fit their networks; a recipe is the same run as its settings
# on the command line; who has the last word; and what is said of a recipe that is wrong.
set -u
. "$SRCDIR/tests/tools/common.sh"
cd "$WORK" || exit 1
digits data 500 100 || exit 1

# weights WORDS...: of a run of 12 steps, or of what the words say.
weights() { "$CORERING" train --steps 12 --no-checkpoint -q "$@" 2>err | sed -n 's/^weights sha256 //p'; }

# refuses NAME STATUS PATTERN WORDS...: one line that matches.
refuses() {
    name=$1 want=$2 pattern=$3; shift 3
    "$CORERING" "$@" >out 2>err
    status=$?
    if test $status = "$want" && test "$(wc -l <err)" = 1 && grep -q "^corering: $pattern" err; then pass "$name: $(cat err)"
    else miss "$name" "status $status, says: $(head -n 2 err)"
    fi
}

# line TEXT PATTERN: a recipe whose third line is TEXT is answered so, with file and line.
line() {
    printf '# wrong\nnet linear\n%s\n' "$1" >wrong.recipe
    refuses "'$1'" 5 "wrong.recipe:3: $2" train --recipe wrong.recipe data
}

echo "# the built-in ones"
"$CORERING" recipes >list
same "as many as there are files" "$(find "$SRCDIR/apps/recipes" -name '*.recipe' | wc -l)" "$(wc -l <list)"
for file in "$SRCDIR"/apps/recipes/*.recipe; do
    name=$(basename "$file" .recipe)
    same "$name is listed with what it shows" 1 "$(grep -cF "$(sed -n '1s/^# //p' "$file")" list)"
    "$CORERING" recipes "$name" >text
    if cmp -s text "$file"; then pass "$name is printed as it stands"; else miss "$name is printed as it stands" "it differs"; fi
    if "$CORERING" train --recipe "$name" data --dry-run >plan 2>err; then pass "$name: $(grep 'in all' plan)"
    else miss "$name" "$(cat err)"
    fi
done

echo "# one run, said in several ways"
cat >own.recipe <<'END'
# a comment
net linear
data  data   # where it lies

batch-size 32
learning-rate	0.2
nesterov 1
stop epoch >= 3 and train_loss < 1e-9
END
said=$(weights linear data -b 32 -r 0.2 --nesterov)
same "recipe alone" "$said" "$(weights --recipe own.recipe)"
same "recipe DATA" "$said" "$(weights --recipe own.recipe ./data)"
same "NET DATA --recipe" "$said" "$(weights linear ./data --recipe=own.recipe)"
same "a file without .recipe" "$said" "$(cp own.recipe own && weights --recipe own)"
same "lines that end with CR LF, the last without an end" "$said" \
    "$(printf 'net linear\r\nbatch-size 32\r\nlearning-rate 0.2 \r\nnesterov 1' >crlf && weights --recipe crlf data)"
same "what --dry-run lists is a recipe" "$said" \
    "$("$CORERING" train --recipe own.recipe --dry-run | sed -n '/^  batch-size/,$p' | grep -v '^  override' >plan
       weights --recipe ./plan linear data)"

echo "# built-in < network < recipe < checkpoint < command line"
printf 'default batch-size=16 learning-rate=0.1\n' | cat "$SRCDIR/apps/nets/linear.net" - >own.net
printf 'net own.net\nbatch-size 8\n' >batch.recipe
same "the recipe before the network, which keeps what the recipe does not say" \
    "$(weights linear data -b 8 -r 0.1)" "$(weights --recipe batch.recipe data)"
same "the command line before the recipe" "$(weights linear data -b 4 -r 0.1)" "$(weights --recipe batch.recipe data -b 4)"
"$CORERING" train linear data --steps 12 -b 8 --checkpoint run -q --checkpoint-every 5 --keep 5 >whole
rm run/step-00000012.safetensors
"$CORERING" train linear data --resume run --recipe own.recipe -q >resumed 2>err
same "the run gone on with before the recipe" "$(sed -n 's/^weights //p' whole)" "$(sed -n 's/^weights //p' resumed)"

echo "# what is wrong"
line "epoch 3" "unknown option 'epoch'; did you mean epochs?"
line "colour blue" "unknown option 'colour'"
line "nesterov" "expected a word and its value"
line "epochs many" ".*epochs 'many'"
line "batch-size 0" ".*batch-size '0'"
line "stop top1 >= high" ".*column 9"
line "resume run" ".*command line"
line "net mlp" "'net' stands already on line 2"
printf 'seed 1\nseed 2\n' >wrong.recipe
refuses "a line again" 5 "wrong.recipe:2: 'seed' stands already on line 1" train --recipe wrong.recipe linear data
printf 'net lenet6\n' >wrong.recipe
refuses "its network" 5 "wrong.recipe:1: no network 'lenet6'; did you mean lenet5?" train --recipe wrong.recipe data
printf 'net linear\n\ndata nowhere/at/all\n' >wrong.recipe
refuses "its data" 5 "wrong.recipe:3: nowhere/at/all" train --recipe wrong.recipe
printf 'seed 2\n' >half.recipe
refuses "no network" 2 "recipe half.recipe has no net line" train --recipe half.recipe data
refuses "no data" 2 "recipe batch.recipe has no data line" train --recipe batch.recipe
printf 'net\0linear\n' >wrong.recipe
refuses "a zero byte" 5 "wrong.recipe, byte 3: the recipe is no text" train --recipe wrong.recipe data
refuses "a data set" 5 "data/train-images-idx3-ubyte: " train --recipe data/train-images-idx3-ubyte data
refuses "a folder" 5 "data: cannot read the recipe" train --recipe data data
refuses "no such file" 5 "nowhere.recipe: cannot open the recipe" train --recipe nowhere.recipe data
refuses "nearly a name" 5 "no recipe 'mnist99'; did you mean mnist-99?" train --recipe mnist99
refuses "no name at all" 5 "no recipe 'qwertz': give a file" recipes qwertz
exit $bad
