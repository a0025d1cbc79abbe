#!/bin/bash
# What is wrong with one host, or with the launcher's own cable, is no reason for the others to stop; and it is said, with
# the host's name. Hosts are namespaces (tests/tools/hosts.sh).
set -u
. "$SRCDIR/tests/tools/common.sh"
. "$SRCDIR/tests/tools/hosts.sh"
. "$SRCDIR/tests/tools/faults.sh"
. "$SRCDIR/tests/tools/runs.sh"
if [[ ${EMULATOR:-} ]]; then skip "troubles" "an emulator has no namespaces of its own"; exit 0; fi
if ! why=$(hosts_possible); then skip "troubles" "$why"; exit 0; fi
cd "$WORK" || exit 1
hosts_up 2 || exit 1
digits data 3000 500

echo "# a host that lacks the data, and may not be sent it"
printf '%s slots=1\n' localhost node2 >hosts
begin lacks linear data --steps 200 --validate-every 0 --no-ship-data
finish
same "is left out" "0 0" "$status $(events '"host_joined".*node2')"
same "with its name and what to do" 1 "$(grep -c 'warning: node2 (rank 1) cannot take part: .*data' lacks.out)"
like_alone "without it"
hosts_file node2
begin alone_lacks linear data --steps 200 --no-ship-data
finish
same "alone: the run ends, for this reason" "1" "$(grep -c '^corering: node2 (rank 0).*data' alone_lacks.out)"
if ((status == 0)); then miss "alone: status" "0"; else pass "alone: status $status"; fi

echo "# the launcher's cable"
hosts_file node1 node2
begin hiccup linear data -b 8 --schedule constant --steps 3000000 --validate-every 0 --checkpoint-every 100000e
seen '"host_joined"' 2
in_time test "$(events '"predicted"')" -ge 0
sleep 1
link_down launcher
sleep 3
link_up launcher
sleep 1
same "out for 3 s: no host is lost" 0 "$(events '"host_lost"')"
interrupt
finish
same "and the run goes on, to the end that is asked for" 130 "$status"
like_alone "out for 3 s"

echo "# Ctrl-C while a host lets wait for it"
on node2 sh -c 'echo "sleep 1000" >/root/.bashrc'
begin waits linear data --steps 200
seen '"start"'
sleep 1
before=$SECONDS
interrupt
finish
on node2 rm /root/.bashrc
same "is heeded" 130 "$status"
if ((SECONDS - before < 15)); then pass "at once"; else miss "at once" "after $((SECONDS - before)) s"; fi

echo "# much data for a host that has none, and little patience"
mkdir much
for part in train:500000 t10k:10; do
    count=$(printf '%08x' "${part#*:}" | sed 's/../\\x&/g')
    # shellcheck disable=SC2059 # bytes
    {
        printf "\\0\\0\\x8\\x3$count\\0\\0\\0\\x1c\\0\\0\\0\\x1c" >"much/${part%:*}-images-idx3-ubyte"
        printf "\\0\\0\\x8\\x1$count" >"much/${part%:*}-labels-idx1-ubyte"
    }
    truncate -s +$((${part#*:} * 784)) "much/${part%:*}-images-idx3-ubyte"
    truncate -s +$((${part#*:} - 1)) "much/${part%:*}-labels-idx1-ubyte"
    printf '\11' >>"much/${part%:*}-labels-idx1-ubyte"
done
printf '%s slots=1\n' localhost node2 >hosts
begin ships linear much --steps 50 --validate-every 0 --host-timeout 0.5
finish
same "it is waited for" "0 1" "$status $(events '"host_joined".*node2')"
like_alone "much data"
rm -r much

echo "# --no-auth"
hosts_file node1 node2
begin open linear data -b 8 --schedule constant --steps 3000000 --validate-every 0 --no-auth
seen '"host_joined"' 2
listens() { net "$1" ss -Hltn | awk '{ print $4 }' | grep -v ':22$' | sed 's/:[0-9]*$//' | sort -u | tr '\n' ' '; }
case "$(listens launcher)$(listens node1)" in
'10.77.0.200 10.77.0.1 ' | '[fd77::200] [fd77::1] ') pass "listens on the way between the hosts alone" ;;
*) miss "listens on the way between the hosts alone" "$(listens launcher)$(listens node1)" ;;
esac
same "and warns" 1 "$(grep -c 'warning: --no-auth: whoever reaches' open.out)"
interrupt
finish
like_alone "without a key"
exit $bad
