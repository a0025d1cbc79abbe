/* One rank's part of a run with others: everything it needs to know comes as the bytes of a checkpoint. */
#ifndef CR_CORE_PART_H
#define CR_CORE_PART_H

#include "core/data.h"
#include "core/trainer.h"
#include "dist/comm.h"

/* Read off the state. -CR_E_INPUT. */
int cr_part_fingerprint(const void *state, size_t size, uint64_t *data_fingerprint, struct cr_error *e);

/* Train with the ranks of comm from the state on, until the run is over.
 *   state    (size) bytes of a checkpoint; not kept
 *   threads  0 = all cores
 *   data     must be the data set of the run: -CR_E_INPUT when its fingerprint differs
 *   events   may be NULL; only poll and profile are used, for all else goes to comm->tell
 * Tells its result as CR_EVENT_END before it returns. As cr_train, and -CR_E_PEER, -CR_E_TIMEOUT from comm. */
int cr_part_run(const void *state, size_t size, long threads, const struct cr_data *data, struct cr_comm *comm,
                const struct cr_train_events *events, struct cr_train_result *result, struct cr_error *e);

#endif
