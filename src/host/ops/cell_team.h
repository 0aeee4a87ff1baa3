/* Threads that work on one tile of samples. The leader goes through the program; what is large it gives out
   in pieces, one for each member. A piece whose member does not come, because another process has its
   processor, is done by who is there. Every piece writes to a place of its own and sums nothing that another
   one sums, so that results depend neither on who does it nor on how many pieces there are. */
#ifndef EBB_HOST_OPS_CELL_TEAM_H
#define EBB_HOST_OPS_CELL_TEAM_H

#include <stdbool.h>
#include <stddef.h>

#include "ebb/scalar.h"

#ifdef __cplusplus
extern "C" {
#endif

/* n elements, of which `run` does begin .. end - 1; cost: of all, in multiply-adds of sixteen lanes. */
typedef struct EbbCellWork {
  void (*run)(const void *data, int64_t begin, int64_t end);
  const void *data;
  int64_t n, cost;
} EbbCellWork;

enum {
  EBB_CELL_PIECES = 64,      /* of a work, at most */
  EBB_CELL_PIECE_COST = 6144 /* of a piece, at least: some microseconds, several times what sharing takes */
};

EBB_INLINE int64_t ebb_cell_pieces(int64_t n, int64_t cost) {
  const int64_t worth = cost / EBB_CELL_PIECE_COST, most = n < EBB_CELL_PIECES ? n : (int64_t)EBB_CELL_PIECES;
  return worth < 1 || most < 1 ? 1 : worth < most ? worth : most;
}

typedef struct EbbCellTeam EbbCellTeam;
/* What leader `leader` does; team: NULL where nobody helps. */
typedef void (*EbbCellLeadFn)(void *context, int64_t leader, EbbCellTeam *team);

/* Does all of `work`; team NULL: alone. By the leader. */
void ebb_cell_share(EbbCellTeam *team, const EbbCellWork *work);

/* Who of the threads of a parallel region does what: seat i < leaders leads, the others help leader
   i % leaders. */
typedef struct EbbCellSeats {
  int64_t leaders, count;
  EbbCellTeam *team; /* (leaders); NULL: nobody helps */
} EbbCellSeats;

/* Bytes for the teams of any seats of so many threads. */
size_t ebb_cell_teams_bytes(int64_t threads);
/* The seats of `leaders`, where the largest work has `pieces`: a thread beyond these would wait all the time.
 */
EbbCellSeats ebb_cell_seats(int64_t leaders, int64_t threads, int64_t pieces, void *teams);
/* A leader's: calls `lead`. A helper's: helps until its leader is done. Seats are to be taken in order, so
   that nobody waits for a leader who does not come. */
void ebb_cell_take_seat(const EbbCellSeats *seats, int64_t seat, EbbCellLeadFn lead, void *context);
/* Takes all of them, by all threads of a parallel region, which wait for each other at the end. */
void ebb_cell_take_seats(const EbbCellSeats *seats, EbbCellLeadFn lead, void *context);

#ifdef __cplusplus
}
#endif

#endif
