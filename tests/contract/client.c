/* A client of the binary protocol, written from docs/protocol.md alone: no code of hftkit is used.

   usage: client ORDER_PORT MARKET_PORT
   Logs on, follows the market, places, replaces and cancels orders, loses its connection, resumes, leaves. Prints what it saw; exit status 0 if all
   of it was as the document says. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOGON = 1, LOGOUT = 2, HEARTBEAT = 3, NEW_ORDER = 4, CANCEL_ORDER = 5, ORDER_QUERY = 7, SUBSCRIBE = 8, REPLACE_ORDER = 10 };
enum { LOGON_ACK = 32, LOGOUT_ACK = 33, VENUE_HEARTBEAT = 34, ORDER_ACK = 35, ORDER_REJECT = 36, ORDER_FILL = 37, ORDER_CANCELED = 38,
       ORDER_STATUS = 40, POSITION = 41, SESSION_REJECT = 42, INSTRUMENT = 64, BBO = 65, DEPTH = 67, SNAPSHOT_BEGIN = 68, SNAPSHOT_END = 69,
       MARKET_STATUS = 70 };
#define ALL 0xFFFFFFFFu
#define EXPECT(what) do { if (!(what)) { fprintf(stderr, "line %d: not so: %s\n", __LINE__, #what); exit(1); } } while (0)

struct header { uint16_t length; uint8_t type; uint8_t version; uint32_t instrument; int64_t sequence; };
struct frame { struct header h; int64_t body[30]; };

struct connection { int fd; int64_t sent; unsigned char bytes[65536]; size_t n; };

static struct connection *dial(int port)
{
    struct connection *c = calloc(1, sizeof *c);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct timeval patience = {10, 0};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    EXPECT(connect(c->fd, (struct sockaddr *)&to, sizeof to) == 0);
    return c;
}

static void say(struct connection *c, int type, uint32_t instrument, int words, const int64_t *body)
{
    struct frame f = {.h = {(uint16_t)(16 + 8 * words), (uint8_t)type, 1, instrument, ++c->sent}};
    if (words > 0) memcpy(f.body, body, 8 * (size_t)words);
    EXPECT(send(c->fd, &f, f.h.length, MSG_NOSIGNAL) == f.h.length);
}

/* The next frame, or one of type 0 when the venue has closed. */
static struct frame next(struct connection *c)
{
    struct frame f = {0};
    while (c->n < 16 || c->n < ((struct header *)c->bytes)->length) {
        ssize_t got = recv(c->fd, c->bytes + c->n, sizeof c->bytes - c->n, 0);
        EXPECT(got >= 0);
        if (got == 0) return f;
        c->n += (size_t)got;
    }
    memcpy(&f.h, c->bytes, 16);
    EXPECT(f.h.version == 1 && f.h.length % 8 == 0 && f.h.length <= 256);
    memcpy(&f, c->bytes, f.h.length);
    c->n -= f.h.length;
    memmove(c->bytes, c->bytes + f.h.length, c->n);
    return f;
}

static struct frame log_on(struct connection *c, int64_t expected)
{
    int64_t body[9] = {7, 1, 0, 1000000000, expected, 0, 0, 0, 0};
    say(c, LOGON, ALL, 9, body);
    return next(c);
}

int main(int argc, char **argv)
{
    struct frame f;
    int64_t seq = 0, instruments = 0, best_bid = 0, level = 0, depth_seq = 0;
    EXPECT(argc == 3);

    /* market data: every instrument's scales, status, quote, snapshot */
    struct connection *feed = dial(atoi(argv[2]));
    say(feed, SUBSCRIBE, ALL, 1, (int64_t[]){1 | 4});
    for (int64_t n = 0, done = 0; n == 0 || done < n;) {
        f = next(feed);
        if (f.h.type == INSTRUMENT) {
            n = f.body[7], instruments++;
            EXPECT(f.body[2] > 0 && f.body[3] > 0 && f.h.sequence == 0);
        } else if (f.h.type == MARKET_STATUS) {
            EXPECT(f.body[1] == 1);
        } else if (f.h.type == BBO && f.h.instrument == 0) {
            best_bid = f.body[1];
        } else if (f.h.type == DEPTH && f.h.instrument == 0) {
            EXPECT(f.body[2] & 2);
            if (f.body[1] == 0 && level == 0) level = f.body[3]; /* best first */
        } else if (f.h.type == SNAPSHOT_END) {
            done++;
            if (f.h.instrument == 0) depth_seq = f.h.sequence;
        }
    }
    EXPECT(level == best_bid && best_bid > 0);

    /* order entry: logon, welcome */
    struct connection *c = dial(atoi(argv[1]));
    f = log_on(c, 1);
    EXPECT(f.h.type == LOGON_ACK && f.h.sequence == ++seq && f.body[1] == 7 && f.body[2] == 2);
    for (int64_t i = 0; i < instruments; i++) {
        f = next(c);
        EXPECT(f.h.type == POSITION && f.h.sequence == ++seq && f.h.instrument == i && f.body[1] == 0);
    }
    say(c, HEARTBEAT, ALL, 1, (int64_t[]){12345});
    f = next(c);
    EXPECT(f.h.type == VENUE_HEARTBEAT && f.h.sequence == ++seq && f.body[1] == 12345);

    /* an order far from the market: acknowledged, seen on the feed, replaced, cancelled */
    say(c, NEW_ORDER, 0, 7, (int64_t[]){1, 0, 0, 0, 0, best_bid - 50, 200});
    f = next(c);
    EXPECT(f.h.type == ORDER_ACK && f.h.sequence == ++seq && f.body[1] == 1);
    do f = next(feed); while (f.h.type != DEPTH);
    EXPECT(f.h.sequence == depth_seq + 1 && f.body[1] == 0 && f.body[2] == 1 && f.body[3] == best_bid - 50 && f.body[4] == 200);
    say(c, REPLACE_ORDER, 0, 3, (int64_t[]){1, best_bid - 60, 150});
    f = next(c);
    EXPECT(f.h.type == ORDER_ACK && f.h.sequence == ++seq);
    say(c, CANCEL_ORDER, 0, 1, (int64_t[]){1});
    f = next(c);
    EXPECT(f.h.type == ORDER_CANCELED && f.h.sequence == ++seq && f.body[3] == 150 && f.body[4] == 0);
    say(c, NEW_ORDER, 0, 7, (int64_t[]){1, 0, 0, 0, 0, best_bid - 50, 200});
    f = next(c);
    EXPECT(f.h.type == ORDER_REJECT && f.h.sequence == ++seq && f.body[2] == 406); /* an id is used once */

    /* an order that trades at once: what is left is cancelled for want of takers, or it is filled whole */
    int64_t filled = 0;
    say(c, NEW_ORDER, 0, 7, (int64_t[]){2, 0, 1, 1, 0, 0, 200});
    f = next(c);
    EXPECT(f.h.type == ORDER_ACK && f.h.sequence == ++seq);
    while (filled < 200) {
        f = next(c);
        EXPECT(f.h.type == ORDER_FILL && f.h.sequence == ++seq && f.body[5] == 0 && f.body[4] == 0);
        filled += f.body[7];
        EXPECT(f.body[8] == 200 - filled);
    }

    /* the connection is lost with two answers unread; the session is resumed where it broke */
    say(c, NEW_ORDER, 0, 7, (int64_t[]){3, 0, 0, 0, 0, best_bid - 70, 200});
    say(c, ORDER_QUERY, 0, 1, (int64_t[]){3});
    f = next(c);
    EXPECT(f.h.type == ORDER_ACK && f.h.sequence == seq + 1); /* seen, and forgotten again */
    int64_t sent = c->sent;
    close(c->fd);
    for (int tries = 0;; tries++) { /* 308 until the venue has noticed that the first connection is gone */
        c = dial(atoi(argv[1]));
        f = log_on(c, seq + 1);
        if (f.h.type != SESSION_REJECT) break;
        EXPECT(f.body[1] == 308 && tries < 1000);
        close(c->fd);
        usleep(10000);
    }
    EXPECT(f.h.type == LOGON_ACK && f.h.sequence == 0 && f.body[2] <= sent + 1);
    int64_t expected = f.body[2]; /* `sent` if the query never arrived */
    EXPECT(expected >= sent);
    f = next(c);
    EXPECT(f.h.type == ORDER_ACK && f.h.sequence == ++seq && f.body[1] == 3);
    if (expected == sent + 1) {
        f = next(c);
        EXPECT(f.h.type == ORDER_STATUS && f.h.sequence == ++seq && f.body[3] == 4 && f.body[5] == 200);
    }
    c->sent = expected - 1;
    say(c, CANCEL_ORDER, 0, 1, (int64_t[]){3});
    f = next(c);
    EXPECT(f.h.type == ORDER_CANCELED && f.h.sequence == ++seq && f.body[3] == 200);

    /* goodbye */
    say(c, LOGOUT, ALL, 0, NULL);
    f = next(c);
    EXPECT(f.h.type == LOGOUT_ACK && f.h.sequence == ++seq);
    f = next(c);
    EXPECT(f.h.type == 0);
    printf("%lld instruments, %lld frames\n", (long long)instruments, (long long)seq);
    return 0;
}
