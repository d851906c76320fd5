/* A PKCS#11 module that forwards every call to a real one and, when a test says so, goes wrong.
 *
 * Environment: HSM_FAULTS_MODULE, the real module; HSM_FAULTS_CONTROL, a file of sizeof(struct control) bytes that is
 * mapped here and in the test (tests/hsm_faults/control.py, which repeats the layout). The test writes what shall go
 * wrong and reads what was called. Both are read once, when the function list is first asked for.
 *
 * Declarations follow PKCS#11 v2.40, base specification, sections 3 (types), 5 (functions, in the order of
 * CK_FUNCTION_LIST, 3.6); nothing but what forwarding needs: a pointer is a pointer, a handle or length a CK_ULONG.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long U; /* CK_ULONG, CK_RV, CK_SLOT_ID, every handle */
typedef unsigned char B; /* CK_BBOOL */
typedef void *P;

#define CKR_OK 0x0UL
#define CKR_GENERAL_ERROR 0x5UL
#define CKR_DEVICE_REMOVED 0x32UL
#define CKR_SESSION_HANDLE_INVALID 0xB3UL

/* X(name, parameters, arguments, takes a session): the functions of CK_FUNCTION_LIST in its order, but for
 * C_GetFunctionList, which stands apart. */
#define FUNCTIONS(X)                                                                                                  \
    X(C_Initialize, (P a), (a), 0)                                                                                    \
    X(C_Finalize, (P a), (a), 0)                                                                                      \
    X(C_GetInfo, (P a), (a), 0)                                                                                       \
    X(C_GetFunctionList, (P a), (a), 0)                                                                               \
    X(C_GetSlotList, (B a, P b, P c), (a, b, c), 0)                                                                   \
    X(C_GetSlotInfo, (U a, P b), (a, b), 0)                                                                           \
    X(C_GetTokenInfo, (U a, P b), (a, b), 0)                                                                          \
    X(C_GetMechanismList, (U a, P b, P c), (a, b, c), 0)                                                              \
    X(C_GetMechanismInfo, (U a, U b, P c), (a, b, c), 0)                                                              \
    X(C_InitToken, (U a, P b, U c, P d), (a, b, c, d), 0)                                                             \
    X(C_InitPIN, (U a, P b, U c), (a, b, c), 1)                                                                       \
    X(C_SetPIN, (U a, P b, U c, P d, U e), (a, b, c, d, e), 1)                                                        \
    X(C_OpenSession, (U a, U b, P c, P d, P e), (a, b, c, d, e), 0)                                                   \
    X(C_CloseSession, (U a), (a), 1)                                                                                  \
    X(C_CloseAllSessions, (U a), (a), 0)                                                                              \
    X(C_GetSessionInfo, (U a, P b), (a, b), 1)                                                                        \
    X(C_GetOperationState, (U a, P b, P c), (a, b, c), 1)                                                             \
    X(C_SetOperationState, (U a, P b, U c, U d, U e), (a, b, c, d, e), 1)                                             \
    X(C_Login, (U a, U b, P c, U d), (a, b, c, d), 0)                                                                 \
    X(C_Logout, (U a), (a), 1)                                                                                        \
    X(C_CreateObject, (U a, P b, U c, P d), (a, b, c, d), 1)                                                          \
    X(C_CopyObject, (U a, U b, P c, U d, P e), (a, b, c, d, e), 1)                                                    \
    X(C_DestroyObject, (U a, U b), (a, b), 1)                                                                         \
    X(C_GetObjectSize, (U a, U b, P c), (a, b, c), 1)                                                                 \
    X(C_GetAttributeValue, (U a, U b, P c, U d), (a, b, c, d), 1)                                                     \
    X(C_SetAttributeValue, (U a, U b, P c, U d), (a, b, c, d), 1)                                                     \
    X(C_FindObjectsInit, (U a, P b, U c), (a, b, c), 1)                                                               \
    X(C_FindObjects, (U a, P b, U c, P d), (a, b, c, d), 1)                                                           \
    X(C_FindObjectsFinal, (U a), (a), 1)                                                                              \
    X(C_EncryptInit, (U a, P b, U c), (a, b, c), 1)                                                                   \
    X(C_Encrypt, (U a, P b, U c, P d, P e), (a, b, c, d, e), 1)                                                       \
    X(C_EncryptUpdate, (U a, P b, U c, P d, P e), (a, b, c, d, e), 1)                                                 \
    X(C_EncryptFinal, (U a, P b, P c), (a, b, c), 1)                                                                  \
    X(C_DecryptInit, (U a, P b, U c), (a, b, c), 1)                                                                   \
    X(C_Decrypt, (U a, P b, U c, P d, P e), (a, b, c, d, e), 1)                                                       \
    X(C_DecryptUpdate, (U a, P b, U c, P d, P e), (a, b, c, d, e), 1)                                                 \
    X(C_DecryptFinal, (U a, P b, P c), (a, b, c), 1)                                                                  \
    X(C_DigestInit, (U a, P b), (a, b), 1)                                                                            \
    X(C_Digest, (U a, P b, U c, P d, P e), (a, b, c, d, e), 1)                                                        \
    X(C_DigestUpdate, (U a, P b, U c), (a, b, c), 1)                                                                  \
    X(C_DigestKey, (U a, U b), (a, b), 1)                                                                             \
    X(C_DigestFinal, (U a, P b, P c), (a, b, c), 1)                                                                   \
    X(C_SignInit, (U a, P b, U c), (a, b, c), 1)                                                                      \
    X(C_Sign, (U a, P b, U c, P d, P e), (a, b, c, d, e), 1)                                                          \
    X(C_SignUpdate, (U a, P b, U c), (a, b, c), 1)                                                                    \
    X(C_SignFinal, (U a, P b, P c), (a, b, c), 1)                                                                     \
    X(C_SignRecoverInit, (U a, P b, U c), (a, b, c), 1)                                                               \
    X(C_SignRecover, (U a, P b, U c, P d, P e), (a, b, c, d, e), 1)                                                   \
    X(C_VerifyInit, (U a, P b, U c), (a, b, c), 1)                                                                    \
    X(C_Verify, (U a, P b, U c, P d, U e), (a, b, c, d, e), 1)                                                        \
    X(C_VerifyUpdate, (U a, P b, U c), (a, b, c), 1)                                                                  \
    X(C_VerifyFinal, (U a, P b, U c), (a, b, c), 1)                                                                   \
    X(C_VerifyRecoverInit, (U a, P b, U c), (a, b, c), 1)                                                             \
    X(C_VerifyRecover, (U a, P b, U c, P d, P e), (a, b, c, d, e), 1)                                                 \
    X(C_DigestEncryptUpdate, (U a, P b, U c, P d, P e), (a, b, c, d, e), 1)                                           \
    X(C_DecryptDigestUpdate, (U a, P b, U c, P d, P e), (a, b, c, d, e), 1)                                           \
    X(C_SignEncryptUpdate, (U a, P b, U c, P d, P e), (a, b, c, d, e), 1)                                             \
    X(C_DecryptVerifyUpdate, (U a, P b, U c, P d, P e), (a, b, c, d, e), 1)                                           \
    X(C_GenerateKey, (U a, P b, P c, U d, P e), (a, b, c, d, e), 1)                                                   \
    X(C_GenerateKeyPair, (U a, P b, P c, U d, P e, U f, P g, P h), (a, b, c, d, e, f, g, h), 1)                       \
    X(C_WrapKey, (U a, P b, U c, U d, P e, P f), (a, b, c, d, e, f), 1)                                               \
    X(C_UnwrapKey, (U a, P b, U c, P d, U e, P f, U g, P h), (a, b, c, d, e, f, g, h), 1)                             \
    X(C_DeriveKey, (U a, P b, U c, P d, U e, P f), (a, b, c, d, e, f), 1)                                             \
    X(C_SeedRandom, (U a, P b, U c), (a, b, c), 1)                                                                    \
    X(C_GenerateRandom, (U a, P b, U c), (a, b, c), 1)                                                                \
    X(C_GetFunctionStatus, (U a), (a), 1)                                                                             \
    X(C_CancelFunction, (U a), (a), 1)                                                                                \
    X(C_WaitForSlotEvent, (U a, P b, P c), (a, b, c), 0)

#define NUMBER(name, parameters, arguments, takes_session) N_##name,
enum { FUNCTIONS(NUMBER) COUNT };

struct function_list {
    unsigned char major, minor;
    P function[COUNT];
};

/* What goes wrong with one function. A rule lets `skip` calls pass, then acts on `times` (for ever if negative). */
struct rule {
    _Atomic uint64_t calls;  /* counted here, whatever becomes of them */
    _Atomic int64_t skip;
    _Atomic int64_t times;
    _Atomic uint64_t action; /* NOTHING … CRASH */
    _Atomic uint64_t code;   /* CKR_* that FAIL and FAIL_AFTER answer */
    _Atomic uint64_t delay_us; /* before every call, also of those that pass */
};
enum { NOTHING, FAIL, FAIL_AFTER, HANG, CRASH };

#define TRACE_LENGTH 8192

struct control {
    _Atomic uint64_t sessions_lost;   /* 1: sessions are invalid until C_Login or C_Initialize */
    _Atomic uint64_t device_removed;  /* 1: until C_Initialize; 2: until told otherwise */
    _Atomic uint64_t released;        /* raised by the test: calls that hang go on */
    _Atomic uint64_t hanging;         /* calls that hang just now */
    _Atomic uint64_t traced;          /* calls in all; the last TRACE_LENGTH of them are in `trace` */
    struct rule any;                  /* counts calls of all functions together */
    struct rule function[COUNT];
    _Atomic uint16_t trace[TRACE_LENGTH];
};

static struct function_list *real;
static struct control *control;

static void sleep_us(uint64_t us) {
    struct timespec time = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
    while (nanosleep(&time, &time) != 0) {
    }
}

static void hang(void) {
    uint64_t released = atomic_load(&control->released);
    atomic_fetch_add(&control->hanging, 1);
    while (atomic_load(&control->released) == released) {
        sleep_us(1000);
    }
    atomic_fetch_sub(&control->hanging, 1);
}

/* Whether the rule acts on this call: passes are used up first, then times. */
static int acts(struct rule *rule) {
    if (atomic_load(&rule->action) == NOTHING) {
        return 0;
    }
    if (atomic_load(&rule->skip) > 0 && atomic_fetch_sub(&rule->skip, 1) > 0) {
        return 0;
    }
    if (atomic_load(&rule->times) < 0) {
        return 1;
    }
    return atomic_load(&rule->times) > 0 && atomic_fetch_sub(&rule->times, 1) > 0;
}

/* CKR_OK to forward the call; `*after` is what to answer after that, in place of the real module's answer. */
static U obey(struct rule *rule, U *after) {
    atomic_fetch_add(&rule->calls, 1);
    uint64_t delay_us = atomic_load(&rule->delay_us);
    if (delay_us != 0) {
        sleep_us(delay_us);
    }
    if (!acts(rule)) {
        return CKR_OK;
    }
    switch (atomic_load(&rule->action)) {
    case FAIL:
        return atomic_load(&rule->code);
    case FAIL_AFTER:
        *after = atomic_load(&rule->code);
        return CKR_OK;
    case HANG:
        hang();
        return CKR_OK;
    default:
        abort();
    }
}

static U before(int number, int takes_session, U *after) {
    uint64_t step = atomic_fetch_add(&control->traced, 1);
    atomic_store(&control->trace[step % TRACE_LENGTH], (uint16_t)number);
    U answer = obey(&control->function[number], after);
    if (answer == CKR_OK) {
        answer = obey(&control->any, after);
    }
    if (answer != CKR_OK) {
        return answer;
    }
    if (number == N_C_Initialize) {
        uint64_t once = 1;
        atomic_compare_exchange_strong(&control->device_removed, &once, 0);
        atomic_store(&control->sessions_lost, 0);
    } else if (number != N_C_Finalize && number != N_C_GetInfo && atomic_load(&control->device_removed) != 0) {
        return CKR_DEVICE_REMOVED;
    } else if (number == N_C_Login) {
        atomic_store(&control->sessions_lost, 0);
    }
    return takes_session && atomic_load(&control->sessions_lost) != 0 ? CKR_SESSION_HANDLE_INVALID : CKR_OK;
}

#define FORWARD(name, parameters, arguments, takes_session)                                                           \
    static U faulty_##name parameters {                                                                               \
        U after = CKR_OK;                                                                                             \
        U answer = before(N_##name, takes_session, &after);                                                           \
        if (answer != CKR_OK) {                                                                                       \
            return answer;                                                                                            \
        }                                                                                                             \
        answer = ((U(*) parameters)real->function[N_##name])arguments;                                                \
        return after != CKR_OK ? after : answer;                                                                      \
    }
FUNCTIONS(FORWARD)

static struct function_list faulty;

static int map_control(void) {
    const char *path = getenv("HSM_FAULTS_CONTROL");
    int descriptor = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (descriptor < 0) {
        return 0;
    }
    int is_whole = lseek(descriptor, 0, SEEK_END) == (off_t)sizeof(struct control);
    P mapped = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    if (!is_whole || mapped == MAP_FAILED) {
        return 0;
    }
    control = mapped;
    return 1;
}

static int open_real(void) {
    const char *path = getenv("HSM_FAULTS_MODULE");
    P library = path == NULL ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);
    U (*get)(P) = library == NULL ? NULL : (U(*)(P))dlsym(library, "C_GetFunctionList");
    return get != NULL && get(&real) == CKR_OK;
}

__attribute__((visibility("default"))) U C_GetFunctionList(P list) {
    if (real == NULL || control == NULL) {
        if (!map_control() || !open_real()) {
            return CKR_GENERAL_ERROR;
        }
        faulty.major = real->major;
        faulty.minor = real->minor;
#define ENTER(name, parameters, arguments, takes_session) faulty.function[N_##name] = (P)faulty_##name;
        FUNCTIONS(ENTER)
        faulty.function[N_C_GetFunctionList] = (P)C_GetFunctionList;
    }
    *(struct function_list **)list = &faulty;
    return CKR_OK;
}
