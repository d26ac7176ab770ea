/* What client.c (who we are, what is asked for) and relay.c (the streams until the end) know of each other. */
#ifndef AFIELD_CLIENT_H
#define AFIELD_CLIENT_H
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef __APPLE__
#define MSG_NOSIGNAL 0   /* SO_NOSIGPIPE is set on the socket instead */
#endif
#define COUNT(a) (sizeof(a) / sizeof *(a))

enum { WINDOW = 1 << 20 };                      /* what the protocol lets be unacknowledged, each way */

/* client.c */
extern const char *socket_path, *machine;
extern char project[], *fallback[];

void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void *must(void *memory);                       /* the memory, or an end with a message */
int dial(void);                                 /* a connected socket, or -1 and errno */
int send_all(int fd, const unsigned char *data, size_t size);   /* 0, or -1: the daemon is gone */
void window_size(struct winsize *size);
void put32(unsigned char *to, uint32_t value);
void put64(unsigned char *to, uint64_t value);
uint64_t get(const unsigned char *from, int size);

/* ends.c */
enum how { WHOLE, STEPS, SOCKET, OWN };         /* how a descriptor is read or written without blocking the loop */
struct end { int fd; enum how how; };
struct out { struct end to; uint64_t written; size_t from, fill; unsigned char *data; };
extern struct out outs[2];                      /* standard output, standard error */
extern int in_tty, tty, raw;                    /* 0 is a terminal; 0, 1 and 2 are; it is in raw mode */
int signal_on_wire(int here);
int signal_here(int wire);
int foreground(void);                           /* may we read and change the terminal? */
void enter_raw(void);
void leave_raw(void);                           /* gives the terminal back; harmless at any time */
void die(int number) __attribute__((noreturn)); /* the way a program dies of that signal */
struct end end_of(int fd, int flags);
void deliver(struct out *out, const unsigned char *data, size_t size);   /* written now or kept */
void drain(struct out *out);                    /* writes what was kept */

/* relay.c */
void last_word(int number);                     /* tells the daemon of which signal we are about to die */
int relay(int fd);                              /* the exit status; -1: not ready, nothing was started; does not return on a signal's death */
#endif
