#include "host/ops/cell_team.h"

#include <sched.h>
#include <stdatomic.h>

#include "host/rows.h"

enum {
  PIECE_BITS = 8,
  GRACE = 64,  /* looks at a piece, some microseconds, before it is taken from its member */
  SPINS = 2000 /* looks at what one waits for, tens of microseconds, before others may have the processor */
};
#define GONE UINT64_MAX

/* A call is the number of a work, above PIECE_BITS, and its pieces. A piece is taken by whoever raises its
   entry in `taken` to the number of the work. All entries of a work that is done have its number or a later
   one, so that a member who comes too late takes nothing of it; one who took a piece finds `work` as it was
   when the piece was given out, because the leader changes it only when all pieces are done. */
struct EbbCellTeam {
  _Alignas(64) EbbCellWork work;
  int64_t members;
  uint64_t works; /* so far */
  _Alignas(64) _Atomic uint64_t call;
  _Alignas(64) _Atomic int64_t left; /* pieces that are not done */
  _Alignas(64) _Atomic uint64_t taken[EBB_CELL_PIECES];
};

static void wait_a_little(int *spins) {
  if (++*spins > SPINS) {
    (void)sched_yield();
    return;
  }
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

static bool is_open(_Atomic uint64_t *taken, uint64_t number) {
  return atomic_load_explicit(taken, memory_order_relaxed) < number;
}

static bool take(_Atomic uint64_t *taken, uint64_t number) {
  uint64_t last = atomic_load_explicit(taken, memory_order_relaxed);
  return last < number && atomic_compare_exchange_strong_explicit(taken, &last, number, memory_order_relaxed,
                                                                  memory_order_relaxed);
}

/* A member's own piece is the same one each time, so that what it reads and writes stays in its
   cache; then those of members who do not come. */
static void do_pieces(EbbCellTeam *team, int64_t member, uint64_t call) {
  const uint64_t number = call >> PIECE_BITS;
  const int64_t pieces = (int64_t)(call & ((1 << PIECE_BITS) - 1));
  int64_t done = 0;
  for (int64_t i = 0; i < pieces; i++) {
    const int64_t p = (member + i) % pieces;
    for (int looks = p == member ? GRACE : 0; looks < GRACE && is_open(&team->taken[p], number);)
      wait_a_little(&looks);
    if (!take(&team->taken[p], number)) continue;
    const EbbCellWork *w = &team->work;
    w->run(w->data, w->n * p / pieces, w->n * (p + 1) / pieces);
    done++;
  }
  if (done) atomic_fetch_sub_explicit(&team->left, done, memory_order_release);
}

static int64_t pieces_of(const EbbCellTeam *team, const EbbCellWork *work) {
  return team ? ebb_min64(ebb_cell_pieces(work->n, work->cost), team->members) : 1;
}

void ebb_cell_share(EbbCellTeam *team, const EbbCellWork *work) {
  const int64_t pieces = pieces_of(team, work);
  if (pieces == 1) {
    work->run(work->data, 0, work->n);
    return;
  }
  team->work = *work;
  const uint64_t call = ++team->works << PIECE_BITS | (uint64_t)pieces;
  atomic_store_explicit(&team->left, pieces, memory_order_relaxed);
  atomic_store_explicit(&team->call, call, memory_order_release);
  do_pieces(team, 0, call);
  for (int spins = 0; atomic_load_explicit(&team->left, memory_order_acquire);) wait_a_little(&spins);
}

static void help(EbbCellTeam *team, int64_t member) {
  uint64_t last = 0, call;
  for (int spins = 0; (call = atomic_load_explicit(&team->call, memory_order_acquire)) != GONE;) {
    if (call == last) {
      wait_a_little(&spins);
      continue;
    }
    do_pieces(team, member, call);
    last = call, spins = 0;
  }
}

/* ---- seats ---- */

/* One of two threads helps at least. */
size_t ebb_cell_teams_bytes(int64_t threads) { return sizeof(EbbCellTeam) * (size_t)(threads - 1); }

static void begin_team(EbbCellTeam *team, int64_t members) {
  team->members = members, team->works = 0;
  atomic_init(&team->call, 0);
  atomic_init(&team->left, 0);
  for (int p = 0; p < EBB_CELL_PIECES; p++) atomic_init(&team->taken[p], 0);
}

EbbCellSeats ebb_cell_seats(int64_t leaders, int64_t threads, int64_t pieces, void *teams) {
  EbbCellSeats seats = {leaders, ebb_min64(threads, leaders * pieces), NULL};
  if (seats.count <= leaders) return (EbbCellSeats){leaders, leaders, NULL};
  seats.team = teams;
  for (int64_t i = 0; i < leaders; i++)
    begin_team(&seats.team[i], seats.count / leaders + (i < seats.count % leaders));
  return seats;
}

void ebb_cell_take_seat(const EbbCellSeats *seats, int64_t seat, EbbCellLeadFn lead, void *context) {
  EbbCellTeam *team = seats->team ? &seats->team[seat % seats->leaders] : NULL;
  if (team && seat >= seats->leaders) {
    help(team, seat / seats->leaders);
    return;
  }
  lead(context, seat, team && team->members > 1 ? team : NULL);
  if (team) atomic_store_explicit(&team->call, GONE, memory_order_release);
}

void ebb_cell_take_seats(const EbbCellSeats *seats, EbbCellLeadFn lead, void *context) {
#pragma omp for schedule(monotonic : dynamic)
  for (int64_t seat = 0; seat < seats->count; seat++) ebb_cell_take_seat(seats, seat, lead, context);
}
