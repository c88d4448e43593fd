/* A closed-loop HTTP/1.1 load generator: one thread, epoll, a number of connections that each ask again when answered.
 *
 *     load PORT PATH CONNECTIONS SECONDS MAX_REQUESTS BODY_FILE [HEADER ...]
 *
 * Every "@@@@@@@@@@" in the body becomes a number that no other request has. Prints one JSON line: answers, requests a
 * second, percentiles of the latency and of the time to the first byte of the body (microseconds), events of streams,
 * answers that were no 2xx, and connections that broke. The first bad answer goes to standard error. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 1 << 20,
    LONGEST_SAMPLE = 380,
    NUMBER_DIGITS = 10,
    MAX_NUMBERS = 16,
    STUCK_US = 20 * 1000 * 1000,
};

typedef struct {
    int fd;
    int used;         /* bytes of the answer so far */
    int head;         /* bytes of its head, 0 until that is whole */
    int status;
    int chunked;
    long body_bytes;  /* content-length, -1 without one */
    long long asked_us, first_byte_us;
    char *answer;
} Connection;

static int port, epoll;
static char *request;
static int request_bytes;
static int number_at[MAX_NUMBERS], numbers;
static long long first_number, max_requests, started, finished, broken, refused, events;
static unsigned *latency_us, *first_byte_after_us;
static char bad_answer[LONGEST_SAMPLE + 1];

static long long now_us(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

static void open_connection(Connection *c) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (void *)&address, sizeof address)) {
        perror("connect");
        exit(2);
    }
    int on = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event readable = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &readable);
}

static void open_again(Connection *c) {
    close(c->fd); /* which takes it out of the epoll set */
    open_connection(c);
}

static void write_number(long long number) {
    for (int place = 0; place < numbers; place++) {
        long long left = number;
        for (int digit = NUMBER_DIGITS - 1; digit >= 0; digit--, left /= 10)
            request[number_at[place] + digit] = '0' + left % 10;
    }
}

/* Whether there was anything left to ask. */
static int ask(Connection *c) {
    if (started >= max_requests)
        return 0;
    write_number(first_number + started++);
    c->used = c->head = c->status = c->chunked = 0;
    c->body_bytes = -1;
    c->first_byte_us = 0;
    c->asked_us = now_us();
    for (int sent = 0; sent < request_bytes;) {
        ssize_t taken = send(c->fd, request + sent, request_bytes - sent, MSG_NOSIGNAL);
        if (taken > 0) {
            sent += taken;
            continue;
        }
        broken++; /* a server may close what it has kept open too long */
        open_again(c);
        c->asked_us = now_us();
        sent = 0;
    }
    return 1;
}

static void count_events(const char *at, const char *end) {
    while ((at = memmem(at, end - at, "data:", 5))) {
        events++;
        at += 5;
    }
}

static void finish(Connection *c, long long at_us) {
    latency_us[finished] = at_us - c->asked_us;
    first_byte_after_us[finished] = (c->first_byte_us ? c->first_byte_us : at_us) - c->asked_us;
    finished++;
    count_events(c->answer + c->head, c->answer + c->used);
    if (c->status >= 200 && c->status <= 299)
        return;
    if (!refused++)
        snprintf(bad_answer, sizeof bad_answer, "%s", c->answer);
}

static void read_head(Connection *c) {
    char *end = strstr(c->answer, "\r\n\r\n");
    if (!end)
        return;
    c->head = end - c->answer + 4;
    c->status = atoi(c->answer + strlen("HTTP/1.1 "));
    *end = 0; /* so that nothing of the body is taken for a header */
    char *length = strcasestr(c->answer, "\r\ncontent-length:");
    if (length)
        c->body_bytes = atol(length + strlen("\r\ncontent-length:"));
    c->chunked = strcasestr(c->answer, "\r\ntransfer-encoding:") != NULL;
    *end = '\r';
}

static int is_whole(const Connection *c) {
    if (!c->head)
        return 0;
    if (c->body_bytes >= 0)
        return c->used - c->head >= c->body_bytes;
    return c->chunked && c->used - c->head >= 5 && !memcmp(c->answer + c->used - 5, "0\r\n\r\n", 5);
}

/* Whether the connection is done with what it was asked, well or badly. */
static int hear(Connection *c) {
    ssize_t got = recv(c->fd, c->answer + c->used, BUFFER_BYTES - c->used, 0);
    long long at_us = now_us();
    if (got < 0 && errno == EINTR)
        return 0;
    if (got <= 0) {
        int until_closed = c->head && c->body_bytes < 0 && !c->chunked;
        if (until_closed)
            finish(c, at_us);
        else
            broken++;
        open_again(c);
        return 1;
    }
    c->used += got;
    c->answer[c->used] = 0;
    if (!c->head)
        read_head(c);
    if (c->head && c->used > c->head && !c->first_byte_us)
        c->first_byte_us = at_us;
    if (!is_whole(c)) {
        if (c->used == BUFFER_BYTES) {
            fprintf(stderr, "an answer is larger than %d bytes\n", BUFFER_BYTES);
            exit(3);
        }
        return 0;
    }
    finish(c, at_us);
    return 1;
}

static long long run(Connection *connections, int count, double seconds) {
    long long end_us = now_us() + (long long)(seconds * 1e6), last_us = now_us();
    int busy = 0;
    for (int i = 0; i < count; i++)
        busy += ask(&connections[i]);
    struct epoll_event ready[512];
    while (busy > 0) {
        int woken = epoll_wait(epoll, ready, 512, 1000);
        if (now_us() > end_us + STUCK_US) {
            fprintf(stderr, "%d requests were never answered\n", busy);
            broken += busy;
            break;
        }
        for (int i = 0; i < woken; i++) {
            Connection *c = ready[i].data.ptr;
            if (!hear(c))
                continue;
            last_us = now_us();
            if (last_us >= end_us || !ask(c))
                busy--;
        }
    }
    return last_us;
}

static void make_request(const char *path, const char *body_file, int headers, char **header) {
    static char body[BUFFER_BYTES];
    FILE *file = fopen(body_file, "rb");
    if (!file) {
        perror(body_file);
        exit(1);
    }
    int body_bytes = fread(body, 1, sizeof body, file);
    fclose(file);
    request = malloc(2 * BUFFER_BYTES);
    int at = sprintf(request, "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: load\r\nAccept: */*\r\n", path, port);
    for (int i = 0; i < headers; i++)
        at += sprintf(request + at, "%s\r\n", header[i]);
    at += sprintf(request + at, "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n", body_bytes);
    memcpy(request + at, body, body_bytes);
    request_bytes = at + body_bytes;
    for (char *p = request + at; numbers < MAX_NUMBERS; p += NUMBER_DIGITS) {
        p = memmem(p, request + request_bytes - p, "@@@@@@@@@@", NUMBER_DIGITS);
        if (!p)
            break;
        number_at[numbers++] = p - request;
    }
}

static int by_size(const void *one, const void *other) {
    unsigned a = *(const unsigned *)one, b = *(const unsigned *)other;
    return a < b ? -1 : a > b;
}

static unsigned percentile(const unsigned *sorted, double share) {
    return finished ? sorted[(long long)((finished - 1) * share)] : 0;
}

int main(int count, char **arguments) {
    if (count < 7) {
        fprintf(stderr, "load PORT PATH CONNECTIONS SECONDS MAX_REQUESTS BODY_FILE [HEADER ...]\n");
        return 1;
    }
    port = atoi(arguments[1]);
    int connections = atoi(arguments[3]);
    max_requests = atoll(arguments[5]);
    make_request(arguments[2], arguments[6], count - 7, arguments + 7);
    struct timespec today;
    clock_gettime(CLOCK_REALTIME, &today); /* a run that begins in the second of the last one has other numbers too */
    first_number = (today.tv_sec * 1000000LL + today.tv_nsec / 1000) % 10000000000LL;
    latency_us = malloc(max_requests * sizeof *latency_us);
    first_byte_after_us = malloc(max_requests * sizeof *first_byte_after_us);
    epoll = epoll_create1(0);
    Connection *all = calloc(connections, sizeof *all);
    for (int i = 0; i < connections; i++) {
        all[i].answer = malloc(BUFFER_BYTES + 1);
        open_connection(&all[i]);
    }
    long long begin_us = now_us();
    double seconds = (run(all, connections, atof(arguments[4])) - begin_us) / 1e6;
    qsort(latency_us, finished, sizeof *latency_us, by_size);
    qsort(first_byte_after_us, finished, sizeof *first_byte_after_us, by_size);
    printf("{\"answers\":%lld,\"seconds\":%.3f,\"p50_us\":%u,\"p99_us\":%u,\"first_byte_p50_us\":%u,"
           "\"first_byte_p99_us\":%u,\"events\":%lld,\"refused\":%lld,\"broken\":%lld}\n",
           finished, seconds, percentile(latency_us, .5), percentile(latency_us, .99),
           percentile(first_byte_after_us, .5), percentile(first_byte_after_us, .99), events, refused, broken);
    if (refused)
        fprintf(stderr, "the first bad answer: %s\n", bad_answer);
    return 0;
}
