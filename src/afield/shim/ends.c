/* The user's end: the terminal, the descriptors 0, 1 and 2, and the way to die.
 *
 * Rules: the descriptors never get O_NONBLOCK (they are shared with the shell and the rest of the pipeline), and still no write
 * may block the loop, for input and signals must pass while a pager holds the output; the terminal is given back on every way
 * out.  What must not go in: the protocol.
 */
#include "client.h"
#include <sys/resource.h>
#include <sys/stat.h>
#include <termios.h>

enum { STEP = 4096 };    /* what a writable pipe or terminal takes without blocking: one page (pipe(7)) */

struct out outs[2];
int in_tty, tty, raw;
static int saved;
static struct termios before;

/* Signals have Linux numbers on the wire (signal(7)); here they have those of this system. */
static const struct { int here, wire; } numbers[] = {
  {SIGHUP, 1}, {SIGINT, 2}, {SIGQUIT, 3}, {SIGILL, 4}, {SIGTRAP, 5}, {SIGABRT, 6}, {SIGBUS, 7}, {SIGFPE, 8}, {SIGKILL, 9},
  {SIGUSR1, 10}, {SIGSEGV, 11}, {SIGUSR2, 12}, {SIGPIPE, 13}, {SIGALRM, 14}, {SIGTERM, 15}, {SIGCHLD, 17}, {SIGCONT, 18},
  {SIGSTOP, 19}, {SIGTSTP, 20}, {SIGTTIN, 21}, {SIGTTOU, 22}, {SIGURG, 23}, {SIGXCPU, 24}, {SIGXFSZ, 25},
  {SIGVTALRM, 26}, {SIGPROF, 27}, {SIGWINCH, 28}, {SIGIO, 29}, {SIGSYS, 31}};

int signal_on_wire(int here) {
  for (size_t i = 0; i < COUNT(numbers); i++) if (numbers[i].here == here) return numbers[i].wire;
  return here;
}

int signal_here(int wire) {
  for (size_t i = 0; i < COUNT(numbers); i++) if (numbers[i].wire == wire) return numbers[i].here;
  return wire;
}

int foreground(void) {
  pid_t group = tcgetpgrp(0);
  return group < 0 || group == getpgrp();
}

void leave_raw(void) {
  if (raw && foreground()) tcsetattr(0, TCSADRAIN, &before);
  raw = 0;
}

void enter_raw(void) {
  struct termios mode;
  if (!saved && tcgetattr(0, &before) < 0) { tty = 0; return; }
  saved = 1;
  mode = before;
  mode.c_iflag |= IGNPAR;
  mode.c_iflag &= ~(tcflag_t)(ISTRIP | INLCR | IGNCR | ICRNL | IXON | IXANY | IXOFF);
  mode.c_lflag &= ~(tcflag_t)(ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHONL | IEXTEN);
  mode.c_oflag &= ~(tcflag_t)OPOST;
  mode.c_cc[VMIN] = 1;
  mode.c_cc[VTIME] = 0;
  if (tcsetattr(0, TCSADRAIN, &mode) == 0) raw = 1;
  else tty = 0;                           /* it is gone */
}

void die(int number) {
  struct rlimit none = {0, 0};
  sigset_t all;
  leave_raw();
  setrlimit(RLIMIT_CORE, &none);          /* the core, if any, is of the program there */
  signal(number, SIG_DFL);
  sigfillset(&all);
  sigprocmask(SIG_UNBLOCK, &all, NULL);
  kill(getpid(), number);
  _exit(128 + number);
}

/* A pipe is opened anew through /proc: an open file description of our own may be non-blocking (link-notes P4). */
struct end end_of(int fd, int flags) {
  struct end end = {fd, WHOLE};
  struct stat info;
  if (fstat(fd, &info) < 0 || S_ISREG(info.st_mode) || (S_ISCHR(info.st_mode) && !isatty(fd))) return end;
  end.how = S_ISSOCK(info.st_mode) ? SOCKET : STEPS;
#ifdef __linux__
  if (S_ISFIFO(info.st_mode)) {
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int own = open(path, flags | O_NONBLOCK | O_CLOEXEC);
    if (own >= FD_SETSIZE) close(own);
    else if (own >= 0) { end.fd = own; end.how = OWN; }
  }
#else
  (void)flags;
#endif
  return end;
}

/* Writes what can be written now; returns the count, 0 when the descriptor is full. */
static size_t write_some(struct out *out, const unsigned char *data, size_t size) {
  size_t done = 0;
  while (done < size) {
    size_t step = size - done;
    ssize_t count;
    if (out->to.how == STEPS) {
      fd_set ready;
      struct timeval now = {0, 0};
      FD_ZERO(&ready);
      FD_SET(out->to.fd, &ready);
      if (select(out->to.fd + 1, NULL, &ready, NULL, &now) <= 0) break;
      if (step > STEP) step = STEP;
    }
    if (out->to.how == SOCKET) count = send(out->to.fd, data + done, step, MSG_DONTWAIT | MSG_NOSIGNAL);
    else count = write(out->to.fd, data + done, step);
    if (count >= 0) { done += (size_t)count; continue; }
    if (errno == EAGAIN || errno == EINTR) break;
    if (errno == EPIPE || errno == ECONNRESET || (errno == EIO && in_tty)) {
      int number = errno == EIO ? SIGHUP : SIGPIPE;
      last_word(number);
      die(number);
    }
    fail("cannot write standard %s: %s", out == outs ? "output" : "error", strerror(errno));
  }
  out->written += done;
  return done;
}

void drain(struct out *out) {
  out->from += write_some(out, out->data + out->from, out->fill - out->from);
  if (out->from == out->fill) out->from = out->fill = 0;
}

void deliver(struct out *out, const unsigned char *data, size_t size) {
  size_t done = out->fill ? 0 : write_some(out, data, size);
  data += done;
  size -= done;
  if (!size) return;
  if (!out->data) out->data = must(malloc(WINDOW));
  if (out->fill + size > WINDOW) {
    memmove(out->data, out->data + out->from, out->fill - out->from);
    out->fill -= out->from;
    out->from = 0;
  }
  if (out->fill + size > WINDOW) fail("the daemon sent more than %d unacknowledged bytes: not the run protocol", WINDOW);
  memcpy(out->data + out->fill, data, size);
  out->fill += size;
}
