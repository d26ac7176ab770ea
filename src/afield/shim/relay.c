/* Carries the streams, signals and the terminal of one run until it ends; takes the run up again when the daemon vanishes.
 *
 * Rules: one loop, and nothing in it blocks but its select (the one call that takes terminals on every system); signals are
 * noted by their handlers and handled by the loop.
 * What must not go in: where the project is, what was asked for (client.c), how a descriptor or terminal is handled (ends.c).
 */
#include "client.h"
#include <sys/wait.h>
#include <time.h>

enum {
  PIECE = 1 << 16,       /* one read or frame of stdin: the fairness quantum of the link */
  SMALL = 1 << 16,       /* no frame but o and e is longer */
  RESUME_LIMIT = 60,     /* seconds to get a vanished daemon back: a cold ssh login fits many times */
  START_LIMIT = 20       /* seconds for one start of the daemon */
};

static struct end in;
static int sock, started, failed, rewind_due, ended, at_end, end_sent;
static int32_t status;
static unsigned char run_id[16], *ring, sendq[PIECE + SMALL], small[SMALL + 1], head[5];
static size_t send_from, send_fill, head_fill, small_fill, left;
static uint64_t have, sent, credit = WINDOW, acked;
static int wake[2];
static volatile sig_atomic_t pending[65];
static time_t deadline;

/* SIGTSTP before SIGCONT: the end of a stop is handled in the same pass. */
static const int caught[] = {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM, SIGTSTP, SIGCONT, SIGWINCH};
#define COUNT(a) (sizeof(a) / sizeof *(a))

/* ---- to the daemon ---- */

static void queue(unsigned char type, const void *data, size_t size) {
  sendq[send_fill] = type;
  put32(sendq + send_fill + 1, (uint32_t)size);
  if (size) memcpy(sendq + send_fill + 5, data, size);
  send_fill += size + 5;
}

static void flush(void) {
  ssize_t count = send(sock, sendq + send_from, send_fill - send_from, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  /* A broken socket may still hold the exit status to be read: reading finds out. */
  send_from = count < 0 ? send_fill : send_from + (size_t)count;
  if (send_from == send_fill) send_from = send_fill = 0;
}

static void send_signal(int here) {
  unsigned char wire = (unsigned char)signal_on_wire(here);
  queue('s', &wire, 1);
}

/* Without a last word the daemon takes it that we were killed outright, and does the same there. */
void last_word(int number) {
  if (send_fill > sizeof sendq - 64) return;
  send_signal(number);
  flush();
}

static void send_window(void) {
  struct winsize size;
  unsigned char data[4];
  if (!tty) return;
  window_size(&size);
  put32(data, (uint32_t)size.ws_row | (uint32_t)size.ws_col << 16);
  queue('w', data, 4);
}

static void send_ack(void) {
  unsigned char data[16];
  put64(data, outs[0].written);
  put64(data + 8, outs[1].written);
  queue('a', data, 16);
  acked = outs[0].written + outs[1].written;
}

/* ---- input ---- */

static void read_input(void) {
  uint64_t open = credit - have;
  size_t at = (size_t)(have % WINDOW), size = WINDOW - at;
  ssize_t count;
  if (size > PIECE) size = PIECE;
  if (size > open) size = (size_t)open;
  if (in.how == SOCKET) count = recv(in.fd, ring + at, size, MSG_DONTWAIT);
  else count = read(in.fd, ring + at, size);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) at_end = 1;             /* a terminal that is gone reads as EIO */
  else have += (uint64_t)count;
}

static void send_input(void) {
  size_t at = (size_t)(sent % WINDOW), size = WINDOW - at;
  if (size > PIECE) size = PIECE;
  if (size > have - sent) size = (size_t)(have - sent);
  if (size > credit - sent) size = (size_t)(credit - sent);
  if (size) queue('i', ring + at, size);
  sent += size;
  if (at_end && sent == have && !end_sent) { queue('I', NULL, 0); end_sent = 1; }
}

/* ---- from the daemon ---- */

static void note(const unsigned char *text, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (text[i] == '\n' && raw) fputc('\r', stderr);
    fputc(text[i], stderr);
  }
  if (size && text[size - 1] != '\n') fputs(raw ? "\r\n" : "\n", stderr);
}

static void on_signal(int number) {
  int code = errno;
  pending[number] = 1;
  if (write(wake[1], "", 1) < 0) {}       /* full: the loop wakes up anyway */
  errno = code;
}

static void start(void) {
  struct sigaction action, old;
  if (tty && !raw && foreground()) enter_raw();   /* before any output is shown */
  if (started) return;
  started = 1;
  if (pipe(wake) < 0 || wake[1] >= FD_SETSIZE) fail("cannot make a pipe: %s", strerror(errno));
  for (int i = 0; i < 2; i++) {
    fcntl(wake[i], F_SETFD, FD_CLOEXEC);
    fcntl(wake[i], F_SETFL, O_NONBLOCK);
  }
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < COUNT(caught); i++)      /* what nohup or `&` had ignored stays ignored */
    if (sigaction(caught[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) sigaction(caught[i], &action, NULL);
  ring = must(malloc(WINDOW));
}

static void credit_came(uint64_t value) {
  if (rewind_due) {                       /* after a resume the first one says where the input goes on */
    uint64_t taken = value < WINDOW ? 0 : value - WINDOW;
    if (taken > have || have - taken > WINDOW)
      fail("the daemon asks for input byte %llu, kept are the last %d of %llu", (unsigned long long)taken, WINDOW, (unsigned long long)have);
    sent = taken;
    credit = value;
    end_sent = rewind_due = 0;
  }
  if (value > credit) credit = value;
}

/* Returns -1 when nothing was started and the fallback shall take over, -2 when a resume must be tried again. */
static int handle(unsigned char type, const unsigned char *data, size_t size) {
  if (type == 'S' && size >= 16) { memcpy(run_id, data, 16); deadline = 0; start(); }
  else if (type == 'U') return started ? -2 : -1;
  else if (type == 'n') { if (isatty(2)) note(data, size); }
  else if (type == 'E' && size) { status = data[0]; failed = (int)size; ended = 1; }
  else if (type == 'c' && size == 8) credit_came(get(data, 8));
  else if (type == 'x' && size == 4) { status = (int32_t)(uint32_t)get(data, 4); ended = 1; }
  else fail("the daemon sent frame type %d with %d bytes: not the run protocol", type, (int)size);
  return 0;
}

static int take(const unsigned char *data, size_t size) {
  while (size && !ended) {
    if (head_fill < 5) {
      head[head_fill++] = *data++;
      size--;
      if (head_fill < 5) continue;
      left = (size_t)get(head + 1, 4);
      small_fill = 0;
      int stream = head[0] == 'o' || head[0] == 'e';
      if (left > (stream ? (size_t)WINDOW : (size_t)SMALL)) fail("the daemon sent frame type %d with %zu bytes: not the run protocol", head[0], left);
    }
    size_t step = size < left ? size : left;
    if (head[0] == 'o' || head[0] == 'e') {
      deliver(outs + (head[0] == 'e'), data, step);
    } else {
      memcpy(small + small_fill, data, step);
      small_fill += step;
    }
    data += step;
    size -= step;
    left -= step;
    if (left) continue;
    head_fill = 0;
    if (head[0] != 'o' && head[0] != 'e') {
      int result = handle(head[0], small, small_fill);
      if (result) return result;
    }
  }
  return 0;
}

/* ---- a daemon that vanished ---- */

static void pause_ms(int count) {
  struct timespec time = {count / 1000, (long)(count % 1000) * 1000000};
  nanosleep(&time, NULL);
}

static void check_deadly(void) {          /* while there is no daemon nobody else can answer these */
  static const int deadly[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  for (size_t i = 0; i < COUNT(deadly); i++) if (pending[deadly[i]]) die(deadly[i]);
}

static void start_daemon(void) {
  char *words[70];
  int count = 0;
  if (!fallback[0]) return;
  while (fallback[count]) { words[count] = fallback[count]; count++; }
  words[count++] = "daemon";
  words[count++] = "start";
  words[count] = NULL;
  pid_t child = fork();
  if (child == 0) {
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; fd++) dup2(null, fd);
    setsid();                             /* the daemon must not get this terminal's signals */
    execv(words[0], words);
    _exit(127);
  }
  for (int i = 0; child > 0 && i < START_LIMIT * 50; i++) {
    if (waitpid(child, NULL, WNOHANG) == child) return;
    pause_ms(20);
    check_deadly();
  }
  if (child > 0) { kill(child, SIGKILL); waitpid(child, NULL, 0); }
}

static void resume(void) {
  unsigned char data[49];
  size_t size = strlen(project) + 1, more = strlen(machine) + 1;
  int starts = 0;
  close(sock);
  leave_raw();
  head_fill = send_from = send_fill = 0;
  rewind_due = 1;
  for (int i = 0; i < 2; i++) outs[i].from = outs[i].fill = 0;    /* what was not written is sent again */
  if (!deadline) deadline = time(NULL) + RESUME_LIMIT;
  memcpy(data, "AFR1T", 5);
  memcpy(data + 9, run_id, 16);
  put32(data + 5, (uint32_t)(40 + size + more));
  put64(data + 25, credit);
  put64(data + 33, outs[0].written);
  put64(data + 41, outs[1].written);
  acked = outs[0].written + outs[1].written;
  for (; time(NULL) < deadline; pause_ms(100)) {
    check_deadly();
    sock = dial();
    if (sock < 0) { if (starts++ % 50 == 0) start_daemon(); continue; }
    if (send_all(sock, data, 49) == 0 && send_all(sock, (unsigned char *)project, size) == 0 && send_all(sock, (const unsigned char *)machine, more) == 0) return;
    close(sock);
  }
  fail("the daemon ended and did not come back within %d s; the program may still run at the place\nhint: `afield daemon log` says why, `afield processes` shows what runs", RESUME_LIMIT);
}

/* ---- the loop ---- */

static void stop_self(void) {
  unsigned char wire = 19;                /* SIGSTOP there: SIGTSTP does nothing to a group without a terminal (POSIX, orphaned process groups) */
  struct sigaction action, usual;
  queue('s', &wire, 1);
  flush();
  leave_raw();
  memset(&usual, 0, sizeof usual);
  usual.sa_handler = SIG_DFL;
  sigaction(SIGTSTP, &usual, &action);
  kill(getpid(), SIGTSTP);                /* returns when the shell continues us */
  sigaction(SIGTSTP, &action, NULL);
  pending[SIGCONT] = 1;
}

static void handle_signals(void) {
  char drop[64];
  while (read(wake[0], drop, sizeof drop) > 0) {}
  for (size_t i = 0; i < COUNT(caught); i++) {
    int number = caught[i];
    if (!pending[number]) continue;
    if (send_fill > sizeof sendq - 64) { if (write(wake[1], "", 1) < 0) {} return; }
    pending[number] = 0;
    if (ended && number != SIGWINCH && number != SIGCONT && number != SIGTSTP) die(number);
    if (number == SIGTSTP) stop_self();
    else if (number == SIGWINCH) send_window();
    else send_signal(number);
    if (number == SIGCONT) { raw = 0; send_window(); }
  }
}

static int receive(void) {
  static unsigned char data[1 << 17];
  ssize_t count = recv(sock, data, sizeof data, MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  if (count <= 0) return started ? -2 : -1;
  return take(data, (size_t)count);
}

static int step(void) {
  fd_set readable, writable;
  struct timeval wait = {0, 500000};
  int top = sock, mine = !in_tty || foreground(), input = 0, blocked;
  FD_ZERO(&readable);
  FD_ZERO(&writable);
  if (started && mine && tty && !raw && !rewind_due) enter_raw();
  if (started && !ended) {
    do {                                  /* until the socket is full or nothing is left: nothing else would wake us for the rest */
      if (!rewind_due && !send_fill) send_input();
      if (outs[0].written + outs[1].written - acked >= PIECE && !send_fill) send_ack();
      if (!send_fill) break;
      flush();
    } while (!send_fill);
    input = mine && !at_end && !rewind_due && have < credit && have - sent < PIECE;
  }
  blocked = outs[0].fill || outs[1].fill;
  if (ended && !blocked) return 1;
  if (!ended) FD_SET(sock, &readable);
  if (send_fill && !ended) FD_SET(sock, &writable);
  if (started) FD_SET(wake[0], &readable);
  if (started && wake[0] > top) top = wake[0];
  if (input) FD_SET(in.fd, &readable);
  if (input && in.fd > top) top = in.fd;
  for (int i = 0; i < 2; i++) if (outs[i].fill) { FD_SET(outs[i].to.fd, &writable); if (outs[i].to.fd > top) top = outs[i].to.fd; }
  /* No signal tells a background program that it came to the foreground: look now and then. */
  if (select(top + 1, &readable, &writable, NULL, started && !mine ? &wait : NULL) < 0) {
    if (errno != EINTR) fail("cannot wait for input: %s", strerror(errno));
    return 0;
  }
  if (started && FD_ISSET(wake[0], &readable)) handle_signals();
  for (int i = 0; i < 2; i++) if (outs[i].fill && FD_ISSET(outs[i].to.fd, &writable)) drain(outs + i);
  if (input && FD_ISSET(in.fd, &readable)) read_input();
  return FD_ISSET(sock, &readable) && !ended ? receive() : 0;
}

int relay(int fd) {
  int result;
  sock = fd;
  in_tty = isatty(0);
  tty = in_tty && isatty(1) && isatty(2);
  in = end_of(0, O_RDONLY);
  for (int i = 0; i < 2; i++) outs[i].to = end_of(i + 1, O_WRONLY);
  while ((result = step()) != 1) {
    if (result == -1) { close(sock); return -1; }
    if (result == -2) {
      if (deadline) pause_ms(1000);       /* asked for too early: the fresh daemon is still on its way to the place */
      resume();
    }
  }
  leave_raw();
  if (failed) note(small + 1, (size_t)failed - 1);
  if (status < 0) die(signal_here(-status));
  return status & 255;
}
