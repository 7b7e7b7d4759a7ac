/* The reference of the wire-to-wire benchmark: what a C programmer would write by hand, and nothing more. It spins on two
 * sockets, reads whole BBO frames of 56 bytes from the one, answers each with a NEW_ORDER of 72 bytes on the other, and drops
 * whatever comes back. No book, no signal, no risk, no journal. Ends when the market data peer closes. */
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

long reference_loop(int order_fd, int data_fd)
{
    char data[65536], answers[65536];
    int64_t order[9];
    long n_orders = 0;
    size_t fill = 0;

    for (;;) {
        (void)recv(order_fd, answers, sizeof answers, MSG_DONTWAIT);
        ssize_t n = recv(data_fd, data + fill, sizeof data - fill, MSG_DONTWAIT);
        if (n == 0)
            return n_orders;
        if (n < 0)
            continue;
        fill += (size_t)n;
        size_t at = 0;
        while (fill - at >= 56) {
            int64_t tick[7];
            memcpy(tick, data + at, 56);
            at += 56;
            n_orders++;
            order[0] = 72 | (4LL << 16) | (1LL << 24);
            order[1] = n_orders;
            order[2] = (1LL << 32) | n_orders;
            order[3] = 0;
            order[4] = 0;
            order[5] = 1;
            order[6] = 0;
            order[7] = tick[5] + 5;
            order[8] = 100;
            if (send(order_fd, order, sizeof order, MSG_NOSIGNAL) < 0)
                return n_orders;
        }
        memmove(data, data + at, fill - at);
        fill -= at;
    }
}
