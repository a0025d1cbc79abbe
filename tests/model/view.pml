/* The change of view, commit, checkpoint, end and join of dist/view.h as a model for spin: three ranks, the arbiter,
 * and up to FAULTS faults at any point. tests/model.sh runs it, whole and with rules left out (BREAK_...), so that each
 * property is seen to fail.
 *
 * The data plane is what it must be for the rest to be right, and no more: a collective completes at a rank when all
 * members of its view have contributed (sent), or, if it is the checkpoint, when the arbiter says SAVED. A rank's state
 * is the number of collectives it has applied.
 *
 * Assertions (safety)
 *   no lost step   START finds each member exactly where the view begins; a PATCH is the one collective it lacks; FETCH
 *                  and SNAPSHOT find what they ask for; members are never two apart; nothing is committed, nor a
 *                  checkpoint confirmed, before every member of the view has come to it
 *   no two halves  once a view has begun, an older one commits only at ranks that are not in it, and only the
 *                  collective that it begins with, nothing after: they cannot go on
 *   the end        LEAVE when every member has the last collective; FAIL when too few are left, and not else
 * Progress: when nothing can happen any more, the run is over, whatever the faults were; and there is no
 * cycle (pan -l: no progress label stands anywhere, so any cycle is an error). So every run ends. */

#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef RESTARTS
#define RESTARTS 0      /* how many of the dead come back */
#endif
#ifndef LATE
#define LATE 0          /* 1: rank 2 comes only after the run has begun */
#endif
#ifndef LEAST
#define LEAST 1         /* --min-hosts */
#endif
#ifndef LAST
#define LAST 2          /* collectives of the run, */
#define CHECKPOINT_AT 1 /* one of them a checkpoint */
#endif

#define N 3
#define NOBODY N
#define VIEWS 12

mtype = { PREPARE, FETCH, PATCH, SNAPSHOT, ENTER, START, SAVED };          /* to a rank */
mtype = { READY, FETCHED, STATE, DONE, COMPLAINT, CHECKPOINT };            /* to the arbiter */
mtype = { ABSENT, WAITING, MEMBER };                                       /* standing of a rank */
mtype = { PREPARING, FETCHING, SNAPSHOTTING, RUNNING };                    /* stage of the arbiter */

/* word, view, collective, members or whom a complaint is about; they keep order */
chan down[N] = [6] of { mtype, byte, byte, byte };
chan up[N] = [6] of { mtype, byte, byte, byte };

/* ranks */
bool alive[N], linked[N];   /* linked: the arbiter holds a connection to it */
byte view[N], prepared[N], members[N], committed[N], kept[N], complained[N];
typedef Row { byte by[N] };
Row sent[VIEWS];            /* the last collective contributed to, by view and rank */

/* network and environment */
byte cut;                   /* pairs that cannot reach each other any more, a bit each */
byte faults = FAULTS, restarts = RESTARTS + LATE;

/* arbiter */
mtype stage = PREPARING, standing[N] = ABSENT;
byte latest, collective, source = NOBODY, told[N], complaints[N];
bool ready[N], done[N], reconnected, disputed, over;
byte message, state;        /* what it holds: the collective they are of */
byte came;                  /* members that have come to the checkpoint in the view that runs */
byte bytes, confirmed;      /* the view in which a checkpoint's bytes came, and was confirmed */

/* for the assertions: the view that began last */
byte begun, begun_members, begun_after;

hidden byte k, least, most, worst;
hidden mtype word;
hidden byte n, c, x;

#define in(set, i) ((set) >> (i) & 1)
#define pair(a, b) (1 << ((a) + (b) - 1))
#define is_member(i) (standing[i] == MEMBER)
#define count(s) ((standing[0] == s) + (standing[1] == s) + (standing[2] == s))
#define is_done(i) (is_member(i) && done[i])
#define finishing (is_done(0) || is_done(1) || is_done(2))
#define too_few (!finishing && count(MEMBER) + count(WAITING) < LEAST)

/* ---- the arbiter ---- */

inline flush(i)
{
    do
    :: len(up[i]) > 0 -> up[i]?_, _, _, _
    :: else -> break
    od;
    do
    :: len(down[i]) > 0 -> down[i]?_, _, _, _
    :: else -> break
    od
}

inline fail()
{
    assert(count(MEMBER) == 0 || count(MEMBER) + count(WAITING) < LEAST);
    over = true
}

#ifdef BREAK_STATE /* one collective too old */
#define state_given (collective > 0 -> collective - 1 : 0)
#else
#define state_given collective
#endif
/* All members are at `collective`; the state is held if anybody needs it. */
inline begin()
{
    source = NOBODY;
    if
    :: too_few -> assert(state == collective); fail()
    :: else ->
        begun = latest; begun_after = collective; begun_members = 0;
        for (k : 0 .. N - 1) {
            if
            :: standing[k] == WAITING && !finishing ->
                standing[k] = MEMBER; told[k] = collective;
                assert(collective == 0 || state == collective);
                down[k]!ENTER, latest, state_given, 0
            :: else
            fi;
            if
            :: is_member(k) -> begun_members = begun_members | 1 << k
            :: else
            fi
        }
        for (k : 0 .. N - 1) {
            if
            :: is_member(k) -> down[k]!START, latest, collective, begun_members
            :: else
            fi
        }
        stage = RUNNING
    fi
}

inline take_state()
{
    if
    :: collective == 0 && too_few -> fail()
    :: else ->
        if
        :: collective > 0 && (too_few || (count(WAITING) > 0 && !finishing)) ->
            stage = SNAPSHOTTING;
            source = (is_member(0) && told[0] == collective -> 0 :
                     (is_member(1) && told[1] == collective -> 1 : 2));
            down[source]!SNAPSHOT, latest, collective, 0
        :: else -> begin()
        fi
    fi
}

inline level()
{
    if
    :: count(MEMBER) == 0 && latest > 1 -> fail()
    :: else ->
        most = 0; least = 255;
        for (k : 0 .. N - 1) {
            if
            :: is_member(k) ->
                most = (told[k] > most -> told[k] : most);
                least = (told[k] < least -> told[k] : least)
            :: else
            fi
        }
        collective = most;
        assert(least + 1 >= most);
        if
        :: least < most ->
            stage = FETCHING;
            source = (is_member(0) && told[0] == most -> 0 : (is_member(1) && told[1] == most -> 1 : 2));
            down[source]!FETCH, latest, most, 0
        :: else -> take_state()
        fi
    fi
}

#define waits_for(i) (is_member(i) && !ready[i])
#ifdef BREAK_READY /* the first who answers is enough */
#define waits (count(MEMBER) > 0 && !ready[0] && !ready[1] && !ready[2])
#else
#define waits (waits_for(0) || waits_for(1) || waits_for(2))
#endif
inline level_when_ready()
{
    if
    :: waits
    :: else -> level()
    fi
}

inline change()
{
    latest++;
    assert(latest < VIEWS);
    stage = PREPARING; source = NOBODY; disputed = false; came = 0;
    for (k : 0 .. N - 1) {
        ready[k] = false; complaints[k] = 0;
        if
        :: is_member(k) -> down[k]!PREPARE, latest, 0, 0
        :: else
        fi
    }
    level_when_ready()
}

inline leave()
{
    assert(count(MEMBER) > 0);
    for (k : 0 .. N - 1) {
        assert(!is_member(k) || !alive[k] || committed[k] == LAST)
    }
    over = true
}

#ifdef BREAK_LEAVE /* the first who is done is enough */
#define open(i) false
#else
#define open(i) (is_member(i) && !done[i])
#endif
inline change_or_finish()
{
    if
    :: finishing && !open(0) && !open(1) && !open(2) -> leave()
    :: else -> change()
    fi
}

/* Rank i's incarnation is gone; now it stands as s. */
inline gone(i, s)
{
    linked[i] = false;
    flush(i);
    told[i] = 0; done[i] = false; ready[i] = false; complaints[i] = 0;
    if
    :: is_member(i) -> reconnected = false; standing[i] = s; change_or_finish()
    :: else ->
        standing[i] = s;
        if
        :: s == WAITING && stage == RUNNING && !finishing -> change()
        :: else
        fi
    fi
}

inline judge()
{
    worst = NOBODY;
    for (k : 0 .. N - 1) {
        if
        :: is_member(k) ->
            if
            :: worst == NOBODY || complaints[k] >= complaints[worst] -> worst = k
            :: else
            fi
        :: else
        fi
    }
    alive[worst] = false;
    gone(worst, ABSENT)
}

#ifdef BREAK_SAVED
#define behind(i) false
#else
#define behind(i) (is_member(i) && !in(came, i))
#endif
#ifdef BREAK_PATCH
#define patch(i) skip
#else
#define patch(i) down[i]!PATCH, latest, message, 0
#endif

/* A member's word that it has come to the checkpoint. */
inline confirm(i)
{
    came = came | 1 << i;
    bytes = ((i == 0 || (!is_member(0) && (i == 1 || !is_member(1)))) -> latest : bytes);
    if
    :: bytes == latest && confirmed != latest && !behind(0) && !behind(1) && !behind(2) ->
        confirmed = latest;
        for (k : 0 .. N - 1) {
            if
            :: is_member(k) -> down[k]!SAVED, latest, c, 0
            :: else
            fi
        }
    :: else
    fi
}

#ifdef BREAK_RECONNECT /* over and over */
#define once false
#else
#define once true
#endif
inline listen(i)
{
    up[i]?word, n, c, x;
    if
    :: word == READY && stage == PREPARING && n == latest && is_member(i) && !ready[i] ->
        ready[i] = true; told[i] = c;
        level_when_ready()
    :: word == FETCHED && stage == FETCHING && n == latest && source == i ->
        message = c;
        for (k : 0 .. N - 1) {
            if
            :: is_member(k) && told[k] < collective ->
                told[k] = collective;
                assert(message == collective);
                patch(k)
            :: else
            fi
        }
        take_state()
    :: word == STATE && stage == SNAPSHOTTING && n == latest && source == i -> state = c; begin()
    :: word == CHECKPOINT && stage == RUNNING && n == latest -> confirm(i)
    :: word == DONE ->
        done[i] = true;
        if
        :: !open(0) && !open(1) && !open(2) -> leave()
        :: else
        fi
    :: word == COMPLAINT && stage == RUNNING && n == latest && is_member(x) ->
        complaints[i]++; complaints[x]++; disputed = true;
        if
        :: !reconnected -> reconnected = once; change()
        :: else
        fi
    :: else /* of an older view */
    fi;
    word = 0; n = 0; c = 0; x = 0
}

/* The arbiter's end of the line to rank i. */
proctype Line(byte i)
{
end:do
    :: d_step { !over && linked[i] && len(up[i]) > 0 -> listen(i) }
    :: d_step { !over && linked[i] && !alive[i] -> gone(i, ABSENT) }
    od
}

#ifdef BREAK_JUDGE
#define judged false
#else
#define judged disputed
#endif
/* A moment after complaints. */
proctype Judge()
{
end:do
    :: d_step { !over && judged -> judge() }
    od
}

/* ---- a rank ---- */

/* Nobody listens to one who was given up. */
inline say(i, what, of_view, of_collective, about)
{
    if
    :: linked[i] -> up[i]!what, of_view, of_collective, about
    :: else
    fi
}

/* Contribute to the next collective; the last has none. */
inline go_on(i)
{
    if
    :: committed[i] == LAST -> say(i, DONE, 0, 0, 0)
    :: else ->
        sent[view[i]].by[i] = committed[i] + 1;
        if
        :: committed[i] + 1 == CHECKPOINT_AT -> say(i, CHECKPOINT, view[i], CHECKPOINT_AT, 0)
        :: else
        fi
    fi
}

#define sent_by(i, m) (!in(members[i], m) || sent[view[i]].by[m] > committed[i])
inline commit(i)
{
    assert(sent_by(i, 0) && sent_by(i, 1) && sent_by(i, 2));
    committed[i]++;
    kept[i] = committed[i];
    assert(view[i] == begun || (!in(begun_members, i) && committed[i] <= begun_after + 1));
    go_on(i)
}

#ifdef BREAK_STOP
#define stopped(i) false
#else
#define stopped(i) (prepared[i] != view[i])
#endif
#define reach(i, a, b) (!in(members[i], a) || !in(members[i], b) || !(cut & pair(a, b)))
#define completes(i) (alive[i] && view[i] && !stopped(i) && committed[i] < LAST && \
    committed[i] + 1 != CHECKPOINT_AT && sent_by(i, 0) && sent_by(i, 1) && sent_by(i, 2) && \
    reach(i, 0, 1) && reach(i, 0, 2) && reach(i, 1, 2))
#define suffers(i, m) (i != m && alive[i] && linked[i] && view[i] && prepared[i] == view[i] && in(members[i], m) && \
    !in(complained[i], m) && (cut & pair(i, m)))

#ifdef BREAK_REPEAT /* ask again and again for the checkpoint */
#define repeats(i) (alive[i] && linked[i] && view[i] && !stopped(i) && committed[i] + 1 == CHECKPOINT_AT)
#else
#define repeats(i) false
#endif

inline hear(i)
{
    down[i]?word, n, c, x;
    if
    :: word == PREPARE ->
        assert(n > prepared[i]);
        prepared[i] = n;
        say(i, READY, n, committed[i], 0)
    :: word == FETCH -> assert(kept[i] == c); say(i, FETCHED, n, c, 0)
    :: word == PATCH ->
        assert(n == prepared[i] && c == committed[i] + 1);
        committed[i] = c; kept[i] = c
    :: word == SNAPSHOT -> assert(committed[i] == c); say(i, STATE, n, c, 0)
    :: word == ENTER -> assert(!view[i] && !prepared[i]); committed[i] = c
    :: word == START ->
        assert((prepared[i] == n || !prepared[i]) && committed[i] == c && in(x, i));
        view[i] = n; prepared[i] = n; members[i] = x; complained[i] = 0;
        go_on(i)
    :: word == SAVED && view[i] == n && !stopped(i) ->
        assert(c == committed[i] + 1);
        commit(i)
    :: else /* SAVED of a view that is past */
    fi;
    word = 0; n = 0; c = 0; x = 0
}

inline complain(i, m)
{
    complained[i] = complained[i] | 1 << m;
    say(i, COMPLAINT, view[i], 0, m)
}

proctype Rank(byte i)
{
end:do
    :: d_step { !over && alive[i] && len(down[i]) > 0 -> hear(i) }
    :: d_step { !over && completes(i) -> commit(i) }
    :: d_step { !over && repeats(i) && len(up[i]) == 0 -> say(i, CHECKPOINT, view[i], CHECKPOINT_AT, 0) }
    :: d_step { !over && suffers(i, 0) -> complain(i, 0) }
    :: d_step { !over && suffers(i, 1) -> complain(i, 1) }
    :: d_step { !over && suffers(i, 2) -> complain(i, 2) }
    od
}

/* ---- faults, and what else need not happen ---- */

/* A process dies: what it said before may still be heard. */
#define crash(i) d_step { !over && faults > 0 && alive[i] && linked[i] -> faults--; alive[i] = false; }
/* The arbiter gives a rank up that lives, and goes on until it notices. */
#define isolate(i) d_step { !over && faults > 0 && alive[i] && linked[i] -> faults--; gone(i, ABSENT) }
#define notices(i) d_step { !over && alive[i] && !linked[i] -> alive[i] = false }
#define sever(a, b) d_step { !over && faults > 0 && !(cut & pair(a, b)) -> faults--; cut = cut | pair(a, b) }
/* A new incarnation, perhaps before the old one was missed. */
inline arrive(i)
{
    restarts--;
    view[i] = 0; prepared[i] = 0; members[i] = 0; committed[i] = 0; kept[i] = 0; complained[i] = 0;
    gone(i, WAITING);
    alive[i] = true; linked[i] = true
}

/* What may befall rank i; and at the end, the run has to end without. */
proctype Fate(byte i)
{
end:do
    :: crash(i)
    :: isolate(i)
    :: notices(i)
    :: sever(i, (i + 1) % N)
    :: d_step { !over && restarts > 0 && !alive[i] -> arrive(i) }
    :: d_step { i == 0 && !over && faults + restarts > 0 -> faults = 0; restarts = 0 }
    od
}

/* When nothing can happen any more, the run is over. */
proctype End()
{
    timeout;
    assert(over)
}

init
{
    atomic {
        d_step {
            for (k : 0 .. N - 1 - LATE) {
                alive[k] = true; linked[k] = true; standing[k] = WAITING
            }
            change()
        }
        run Rank(0); run Rank(1); run Rank(2);
        run Line(0); run Line(1); run Line(2);
        run Judge();
        run Fate(0); run Fate(1); run Fate(2);
        run End()
    }
}
