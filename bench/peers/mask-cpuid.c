// Hides AVX-512 and its kin (and with MASK=avx2, AVX2 and FMA) from the programs that it is preloaded into, to measure what a lesser
// processor would do: Linux lets CPUID fault (arch_prctl), and the fault's handler answers with bits cleared.
//   cc -shared -fPIC -O2 -o mask-cpuid.so mask-cpuid.c -ldl && LD_PRELOAD=./mask-cpuid.so node ...
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define ARCH_SET_CPUID 0x1012
static int (*real_sigaction)(int, const struct sigaction *, struct sigaction *);
static struct sigaction theirs;
static int without_avx2;

static void faulting(int on) { syscall(SYS_arch_prctl, ARCH_SET_CPUID, on ? 0 : 1); }

static void handler(int signal, siginfo_t *info, void *context) {
  greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
  const unsigned char *code = (const unsigned char *)r[REG_RIP];
  if (code[0] == 0x0f && code[1] == 0xa2) {
    unsigned leaf = r[REG_RAX], sub = r[REG_RCX], a, b, c, d;
    faulting(0);
    __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(leaf), "c"(sub));
    faulting(1);
    if (leaf == 7 && sub == 0) {
      // AVX-512 F, DQ, IFMA, PF, ER, CD, BW, VL; VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ; 4VNNIW, 4FMAPS, VP2INTERSECT, AMX, FP16.
      b &= ~((1u << 16) | (1u << 17) | (1u << 21) | (1u << 26) | (1u << 27) | (1u << 28) | (1u << 30) | (1u << 31));
      c &= ~((1u << 1) | (1u << 6) | (1u << 11) | (1u << 12) | (1u << 14));
      d &= ~((1u << 2) | (1u << 3) | (1u << 8) | (1u << 22) | (1u << 23) | (1u << 24) | (1u << 25));
      if (without_avx2) b &= ~(1u << 5);
    }
    if (leaf == 7 && sub == 1) a &= ~((1u << 4) | (1u << 5)); // AVX-VNNI, AVX-512 BF16
    if (leaf == 1 && without_avx2) c &= ~(1u << 12);           // FMA
    r[REG_RAX] = a, r[REG_RBX] = b, r[REG_RCX] = c, r[REG_RDX] = d;
    r[REG_RIP] += 2;
    return;
  }
  if (theirs.sa_flags & SA_SIGINFO && theirs.sa_sigaction) return theirs.sa_sigaction(signal, info, context);
  struct sigaction fallback = {.sa_handler = SIG_DFL};
  real_sigaction(SIGSEGV, &fallback, 0);
}

int sigaction(int signal, const struct sigaction *act, struct sigaction *old) {
  if (!real_sigaction) real_sigaction = dlsym(RTLD_NEXT, "sigaction");
  if (signal != SIGSEGV) return real_sigaction(signal, act, old);
  if (old) *old = theirs;
  if (act) theirs = *act;
  return 0;
}

__attribute__((constructor)) static void start(void) {
  const char *mask = getenv("MASK");
  without_avx2 = mask && !strcmp(mask, "avx2");
  if (!real_sigaction) real_sigaction = dlsym(RTLD_NEXT, "sigaction");
  struct sigaction ours = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
  real_sigaction(SIGSEGV, &ours, 0);
  faulting(1);
}
