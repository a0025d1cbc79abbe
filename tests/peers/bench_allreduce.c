/* How long MPI_Allreduce takes for so many 32-bit words, in microseconds, the median of many times: a line for each
 * number of the command line. For tests/peers/bench_allreduce.py:
 *
 *     mpicc -O2 -o bench_allreduce bench_allreduce.c && mpirun -n 2 --mca btl tcp,self ./bench_allreduce 22278 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    enum { MOST = 301 };
    static double took[MOST];
    int rank;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    for (int i = 1; i < argc; i++) {
        const int words = atoi(argv[i]), times = words > 1000000 ? 21 : MOST;
        unsigned *const message = calloc((size_t)words, sizeof *message);
        if (!message) MPI_Abort(MPI_COMM_WORLD, 1);
        for (int t = -3; t < times; t++) { /* the first ones open connections */
            MPI_Barrier(MPI_COMM_WORLD);
            const double start = MPI_Wtime();
            MPI_Allreduce(MPI_IN_PLACE, message, words, MPI_UNSIGNED, MPI_SUM, MPI_COMM_WORLD);
            if (t >= 0) took[t] = 1e6 * (MPI_Wtime() - start);
        }
        qsort(took, (size_t)times, sizeof *took, compare);
        if (rank == 0) printf("%.2f\n", took[times / 2]);
        free(message);
    }
    MPI_Finalize();
    return 0;
}
