/* Preloaded, hides instruction sets from whatever asks the CPU for them by CPUID (Linux on Intel).

   HIDE=amx hides AMX; HIDE=avx512 hides that, AVX-512 and AVX-VNNI too, which leaves AVX2. The
   kernel makes CPUID fault (arch_prctl, since 4.12); the fault's handler answers in its place. */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define ARCH_SET_CPUID 0x1012
#define BIT(n) (1u << (n))

/* Intel's manual, volume 2, CPUID, leaf 7. */
static const unsigned AVX512_EBX = BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31);
static const unsigned AVX512_ECX = BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14);
static const unsigned AVX512_EDX = BIT(2) | BIT(3) | BIT(8) | BIT(23);
static const unsigned AMX_EDX = BIT(22) | BIT(24) | BIT(25);
static const unsigned AVX_VNNI_EAX1 = BIT(4), AVX512_BF16_EAX1 = BIT(5), AMX_FP16_EAX1 = BIT(21);

static int avx2_alone;

static long cpuid_works(unsigned long yes) { return syscall(SYS_arch_prctl, ARCH_SET_CPUID, yes); }

static void answer(int signal_number, siginfo_t *info, void *context) {
    (void)info;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *code = (const unsigned char *)registers[REG_RIP];
    if (code[0] != 0x0f || code[1] != 0xa2) { /* no CPUID: a fault of the program's own */
        signal(signal_number, SIG_DFL);
        return;
    }
    unsigned leaf = registers[REG_RAX], part = registers[REG_RCX], a, b, c, d;
    cpuid_works(1);
    __cpuid_count(leaf, part, a, b, c, d);
    cpuid_works(0);
    if (leaf == 7 && part == 0) {
        d &= ~AMX_EDX;
        if (avx2_alone) {
            b &= ~AVX512_EBX;
            c &= ~AVX512_ECX;
            d &= ~AVX512_EDX;
        }
    }
    if (leaf == 7 && part == 1) {
        a &= ~AMX_FP16_EAX1;
        if (avx2_alone) {
            a &= ~(AVX_VNNI_EAX1 | AVX512_BF16_EAX1);
            d = 0; /* AVX-VNNI's further types, AVX10 */
        }
    }
    registers[REG_RAX] = a;
    registers[REG_RBX] = b;
    registers[REG_RCX] = c;
    registers[REG_RDX] = d;
    registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void hide(void) {
    const char *what = getenv("HIDE");
    if (!what || !*what) return;
    avx2_alone = !strcmp(what, "avx512");
    struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    cpuid_works(0);
}
