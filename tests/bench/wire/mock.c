/* A provider that costs next to nothing: one thread, epoll, OpenAI's shape, always the same answer.
 *
 *     mock PORT [CHUNKS] [PACE_US]
 *
 * A POST is answered with a chat completion of about 1 kB, or, when its body has `"stream":true`, with CHUNKS events
 * PACE_US apart, one write each, then one of the usage if `"include_usage":true` asks for it, then [DONE]. A GET gets a
 * list of models. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    REQUEST_BYTES = 1 << 18,
    WAITING = 1 << 16, /* events that are due: at most one for each stream */
    TEXT_BYTES = 600,
};

typedef enum { IDLE, STREAMING } State;

typedef struct {
    int fd;
    int used; /* bytes of requests that are not answered yet */
    State state;
    int sent_chunks;
    int wants_usage;
    int life; /* counts up when it is closed: what was due for it then is not sent to another */
    char *requests;
} Connection;

typedef struct {
    Connection *connection;
    int life;
    long long due_us;
} Due;

typedef struct {
    char text[4096];
    int bytes;
} Message;

static Due waiting[WAITING]; /* a ring; sorted, because everything waits equally long */
static unsigned first_waiting, last_waiting;
static int chunks = 20;
static long long pace_us = 2000;
static int epoll, timer;
static Message completion, models, opening_event, event, closing_event, usage_event;

static const char STREAM_HEAD[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
    "Transfer-Encoding: chunked\r\n\r\n";
static const char STREAM_END[] = "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";

static long long now_us(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

/* To when the next event is due; a call to the kernel only if that is another time than before. */
static void set_timer(void) {
    static long long set_us;
    long long due_us = first_waiting != last_waiting ? waiting[first_waiting % WAITING].due_us : 0;
    if (due_us == set_us)
        return;
    set_us = due_us;
    struct itimerspec at = {0};
    if (due_us) {
        at.it_value.tv_sec = due_us / 1000000;
        at.it_value.tv_nsec = due_us % 1000000 * 1000;
    }
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void drop(Connection *c) {
    close(c->fd); /* which takes it out of the epoll set */
    c->fd = -1;
    c->life++;
    c->state = IDLE;
    c->used = 0;
}

/* Whether all of it went out; else the connection is gone. */
static int say(Connection *c, const char *text, int bytes) {
    if (send(c->fd, text, bytes, MSG_NOSIGNAL) == bytes)
        return 1;
    drop(c);
    return 0;
}

static void answer_requests(Connection *c);

static void next_event(Connection *c) {
    while (c->sent_chunks < chunks) {
        int last = c->sent_chunks == chunks - 1;
        const Message *next = !c->sent_chunks ? &opening_event : last ? &closing_event : &event;
        if (!say(c, next->text, next->bytes))
            return;
        c->sent_chunks++;
        if (pace_us > 0) {
            waiting[last_waiting++ % WAITING] = (Due){c, c->life, now_us() + pace_us};
            return;
        }
    }
    if (c->wants_usage && !say(c, usage_event.text, usage_event.bytes))
        return;
    c->state = IDLE;
    if (say(c, STREAM_END, sizeof STREAM_END - 1))
        answer_requests(c);
}

static void send_what_is_due(void) {
    long long now = now_us();
    while (first_waiting != last_waiting && waiting[first_waiting % WAITING].due_us <= now) {
        Due due = waiting[first_waiting++ % WAITING];
        if (due.connection->life == due.life)
            next_event(due.connection);
    }
}

/* Bytes of the first request, or 0 while it is not whole. */
static int whole_request_bytes(const Connection *c, const char *head_end) {
    int head_bytes = head_end - c->requests + 4;
    const char *length = strcasestr(c->requests, "\r\ncontent-length:");
    if (length && length < head_end)
        return head_bytes + atol(length + strlen("\r\ncontent-length:"));
    const char *encoding = strcasestr(c->requests, "\r\ntransfer-encoding:");
    if (!encoding || encoding > head_end)
        return head_bytes;
    const char *end = strstr(head_end + 2, "\r\n0\r\n\r\n"); /* an empty body begins with its own end */
    return end ? end + 7 - c->requests : 0;
}

static int has(const char *body, const char *flag, const char *spaced_flag) {
    return strstr(body, flag) != NULL || strstr(body, spaced_flag) != NULL;
}

static void answer_requests(Connection *c) {
    while (c->fd >= 0 && c->state == IDLE && c->used) {
        c->requests[c->used] = 0;
        const char *head_end = strstr(c->requests, "\r\n\r\n");
        int bytes = head_end ? whole_request_bytes(c, head_end) : 0;
        if (!bytes || bytes > c->used)
            return;
        int is_get = c->requests[0] == 'G';
        char next = c->requests[bytes];
        c->requests[bytes] = 0;
        int streams = !is_get && has(head_end, "\"stream\":true", "\"stream\": true");
        c->wants_usage = has(head_end, "\"include_usage\":true", "\"include_usage\": true");
        c->requests[bytes] = next;
        memmove(c->requests, c->requests + bytes, c->used - bytes);
        c->used -= bytes;
        if (!streams) {
            const Message *whole = is_get ? &models : &completion;
            say(c, whole->text, whole->bytes);
        } else if (say(c, STREAM_HEAD, sizeof STREAM_HEAD - 1)) {
            c->state = STREAMING;
            c->sent_chunks = 0;
            next_event(c);
        }
    }
}

static void hear(Connection *c) {
    ssize_t got = recv(c->fd, c->requests + c->used, REQUEST_BYTES - c->used, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        drop(c);
        return;
    }
    c->used += got;
    answer_requests(c);
}

static void accept_all(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        Connection *c = calloc(1, sizeof *c); /* never freed: something may still be due for it */
        c->fd = fd;
        c->requests = malloc(REQUEST_BYTES + 1);
        struct epoll_event readable = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = c};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &readable);
    }
}

static void write_answer(Message *message, const char *headers, const char *body) {
    message->bytes = snprintf(message->text, sizeof message->text,
                              "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n%s",
                              headers, strlen(body), body);
}

static void write_event(Message *message, const char *rest) {
    char data[2048];
    int bytes = snprintf(data, sizeof data,
                         "data: {\"id\":\"chatcmpl-mock0123456789abcdef\",\"object\":\"chat.completion.chunk\","
                         "\"created\":1763900000,\"model\":\"mock-model\",\"system_fingerprint\":\"fp_mock\",%s}\n\n",
                         rest);
    message->bytes = snprintf(message->text, sizeof message->text, "%x\r\n%s\r\n", bytes, data);
}

static void write_messages(void) {
    char text[TEXT_BYTES + 64] = "", body[3072];
    while (strlen(text) < TEXT_BYTES)
        strcat(text, "The quick brown fox jumps over the lazy dog. ");
    snprintf(body, sizeof body,
             "{\"id\":\"chatcmpl-mock0123456789abcdef\",\"object\":\"chat.completion\",\"created\":1763900000,"
             "\"model\":\"mock-model\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\","
             "\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":180,"
             "\"completion_tokens\":140,\"total_tokens\":320,\"prompt_tokens_details\":{\"cached_tokens\":0},"
             "\"completion_tokens_details\":{\"reasoning_tokens\":0}},\"system_fingerprint\":\"fp_mock\"}",
             text);
    write_answer(&completion, "x-request-id: req_mock\r\n", body);
    write_answer(&models, "",
                 "{\"object\":\"list\",\"data\":[{\"id\":\"mock-model\",\"object\":\"model\",\"created\":1,"
                 "\"owned_by\":\"mock\"}]}");
#define CHOICE(delta, finish) "\"choices\":[{\"index\":0,\"delta\":{" delta "},\"logprobs\":null,\"finish_reason\":" finish "}]"
    write_event(&opening_event, CHOICE("\"role\":\"assistant\",\"content\":\" token\"", "null"));
    write_event(&event, CHOICE("\"content\":\" token\"", "null"));
    write_event(&closing_event, CHOICE("\"content\":\"\"", "\"stop\""));
    snprintf(body, sizeof body,
             "\"choices\":[],\"usage\":{\"prompt_tokens\":180,\"completion_tokens\":%d,\"total_tokens\":%d}", chunks,
             180 + chunks);
    write_event(&usage_event, body);
}

static int listen_on(int port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 1024)) {
        perror("listen");
        exit(1);
    }
    return listener;
}

int main(int count, char **arguments) {
    if (count < 2) {
        fprintf(stderr, "mock PORT [CHUNKS] [PACE_US]\n");
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    chunks = count > 2 ? atoi(arguments[2]) : chunks;
    pace_us = count > 3 ? atoll(arguments[3]) : pace_us;
    write_messages();
    int listener = listen_on(atoi(arguments[1]));
    epoll = epoll_create1(0);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event at_listener = {.events = EPOLLIN, .data.ptr = &listener};
    struct epoll_event at_timer = {.events = EPOLLIN, .data.ptr = &timer};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &at_listener);
    epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &at_timer);
    struct epoll_event ready[256];
    for (;;) {
        int woken = epoll_wait(epoll, ready, 256, -1);
        for (int i = 0; i < woken; i++) {
            void *who = ready[i].data.ptr;
            Connection *c = who;
            if (who == &listener)
                accept_all(listener);
            else if (who == &timer)
                send_what_is_due();
            else if (c->fd >= 0)
                hear(c);
        }
        set_timer();
    }
}
