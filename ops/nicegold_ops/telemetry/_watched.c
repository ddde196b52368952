/* The watched call of `watch.py`, in C: the same records and the same result, sooner.
 *
 * Its twin in Python is what `watch.py` writes out, and says what this must do; test_watched.py holds
 * them to it. Only the form of a record and its clock are said here again:
 *
 *   form   flight.RECORD, little-endian; the sequence is the last word, and is written last.
 *   clock  time.perf_counter where that is CLOCK_MONOTONIC. `watch.py` sees to it.
 *
 * Nobody but the trading thread makes these calls. Another that did would mix up records, not memory:
 * the interpreter lock is held, and each write looks at where the ring ends.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <structmember.h>
#include <time.h>

#if PY_BIG_ENDIAN
#error "a flight recorder is little-endian; the twin in Python writes it here too"
#endif

/* Written over a slot's first byte when a call begins, as flight.IN_HAND. */
#define IN_HAND 1

typedef struct {
    uint64_t tag, cause;
    double start, end;
    uint64_t unused, sequence;
} Record;

static_assert(sizeof(Record) == 48, "a record is what flight.RECORD says");

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *call, *ring, *cause, *lap, *broken;
    Py_ssize_t first, last, at;
    /* Tags: of a call that answered None, that answered something, that raised. */
    unsigned long long silence, answer, error;
    uint64_t sequence;
} Watched;

/* Seconds, put into a double as time.perf_counter does it. */
static double
look_at_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_nsec == 0) {
        return (double)now.tv_sec;
    }
    return (double)((int64_t)now.tv_sec * 1000000000 + now.tv_nsec) / 1e9;
}

/* Whatever went wrong in the watching is counted and forgotten. */
static void
swallow(Watched *self)
{
    PyErr_Clear();
    PyObject *counted = PyObject_CallNoArgs(self->broken);
    if (counted == NULL) {
        PyErr_Clear();
    }
    Py_XDECREF(counted);
}

/* The slot in turn, or NULL with an error set. *view* must be released soon: while anybody holds it,
   the recorder cannot close its file. That is why none is kept from call to call. */
static char *
open_slot(Watched *self, Py_buffer *view)
{
    if (PyObject_GetBuffer(self->ring, view, PyBUF_WRITABLE) < 0) {
        return NULL;
    }
    if (self->at > view->len - (Py_ssize_t)sizeof(Record)) {
        PyBuffer_Release(view);
        PyErr_SetString(PyExc_ValueError, "the ring has become shorter than its slots");
        return NULL;
    }
    return (char *)view->buf + self->at;
}

static int
mark_in_hand(Watched *self)
{
    Py_buffer view;
    char *slot = open_slot(self, &view);
    if (slot == NULL) {
        return -1;
    }
    *slot = IN_HAND;
    PyBuffer_Release(&view);
    return 0;
}

static int
write_record(Watched *self, const Record *record)
{
    Py_buffer view;
    char *slot = open_slot(self, &view);
    if (slot == NULL) {
        return -1;
    }
    memcpy(slot, record, offsetof(Record, sequence));
    /* A kill must not find the sequence there before the rest. */
    atomic_signal_fence(memory_order_seq_cst);
    memcpy(slot + offsetof(Record, sequence), &record->sequence, sizeof record->sequence);
    PyBuffer_Release(&view);
    return 0;
}

/* The number in the cause cell. Any object may lie there, and run code of its own. */
static int
read_cause(Watched *self, uint64_t *cause)
{
    PyObject *cell = PySequence_GetItem(self->cause, 0);
    PyObject *number = cell == NULL ? NULL : PyNumber_Index(cell);
    Py_XDECREF(cell);
    if (number == NULL) {
        return -1;
    }
    *cause = PyLong_AsUnsignedLongLong(number);
    Py_DECREF(number);
    return *cause == UINT64_MAX && PyErr_Occurred() ? -1 : 0;
}

static int
advance(Watched *self)
{
    if (self->at < self->last) {
        self->at += sizeof(Record);
        return 0;
    }
    PyObject *folded = PyObject_CallNoArgs(self->lap);
    if (folded == NULL) {
        return -1;
    }
    Py_DECREF(folded);
    self->at = self->first;
    return 0;
}

/* Make the record of a call that has ended. */
static void
record(Watched *self, uint64_t tag, double start)
{
    uint64_t cause;
    self->sequence += 1;
    if (read_cause(self, &cause) < 0) {
        swallow(self);
        /* There is no record, but the call is not in hand any more. */
        Record none = {.tag = tag};
        if (write_record(self, &none) < 0) {
            PyErr_Clear();
        }
        return;
    }
    Record made = {tag, cause, start, look_at_clock(), 0, self->sequence};
    if (write_record(self, &made) < 0 || advance(self) < 0) {
        swallow(self);
    }
}

static PyObject *
watched_call(PyObject *callable, PyObject *const *arguments, size_t count, PyObject *names)
{
    Watched *self = (Watched *)callable;
    if (mark_in_hand(self) < 0) {
        swallow(self);
    }
    double start = look_at_clock();
    PyObject *answer = PyObject_Vectorcall(self->call, arguments, count, names);
    if (answer != NULL) {
        record(self, answer == Py_None ? self->silence : self->answer, start);
        return answer;
    }
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    record(self, self->error, start);
    PyErr_Restore(type, error, traceback);
    return NULL;
}

static int
refuse_slots(PyObject *ring, Py_ssize_t first, Py_ssize_t last)
{
    Py_buffer view;
    if (PyObject_GetBuffer(ring, &view, PyBUF_WRITABLE) < 0) {
        return -1;
    }
    Py_ssize_t length = view.len, record = sizeof(Record);
    PyBuffer_Release(&view);
    if (first < 0 || last < first || last > length - record || (last - first) % record != 0) {
        PyErr_Format(PyExc_ValueError, "slots of %zd bytes from %zd to %zd do not fill a ring of %zd", record,
                     first, last, length);
        return -1;
    }
    return 0;
}

static PyObject *
watched_new(PyTypeObject *type, PyObject *arguments, PyObject *names)
{
    static char *keywords[] = {"call", "ring", "first", "last", "silence", "answer",
                               "error", "cause", "lap", "broken", NULL};
    PyObject *call, *ring, *cause, *lap, *broken;
    Py_ssize_t first, last;
    unsigned long long silence, answer, error;
    if (!PyArg_ParseTupleAndKeywords(arguments, names, "OOnnKKKOOO:Watched", keywords, &call, &ring, &first,
                                     &last, &silence, &answer, &error, &cause, &lap, &broken)) {
        return NULL;
    }
    if (refuse_slots(ring, first, last) < 0) {
        return NULL;
    }
    Watched *self = (Watched *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = watched_call;
    self->call = Py_NewRef(call);
    self->ring = Py_NewRef(ring);
    self->cause = Py_NewRef(cause);
    self->lap = Py_NewRef(lap);
    self->broken = Py_NewRef(broken);
    self->first = self->at = first;
    self->last = last;
    self->silence = silence;
    self->answer = answer;
    self->error = error;
    return (PyObject *)self;
}

/* As of a tuple, which cannot change either: a cycle through it passes through something that can,
   and is broken there. So there is no tp_clear, and no call finds its parts gone. */
static int
watched_traverse(Watched *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->call);
    Py_VISIT(self->ring);
    Py_VISIT(self->cause);
    Py_VISIT(self->lap);
    Py_VISIT(self->broken);
    return 0;
}

static void
watched_dealloc(Watched *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->call);
    Py_XDECREF(self->ring);
    Py_XDECREF(self->cause);
    Py_XDECREF(self->lap);
    Py_XDECREF(self->broken);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef watched_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Watched, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot watched_slots[] = {
    {Py_tp_doc, "Makes *call*, and a record of it in a slot of *ring* from *first* to *last*."},
    {Py_tp_new, watched_new},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_traverse, watched_traverse},
    {Py_tp_dealloc, watched_dealloc},
    {Py_tp_members, watched_members},
    {0, NULL},
};

static PyType_Spec watched_spec = {
    .name = "nicegold_ops.telemetry._watched.Watched",
    .basicsize = sizeof(Watched),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = watched_slots,
};

static int
module_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &watched_spec, NULL);
    int failed = type == NULL ? -1 : PyModule_AddType(module, (PyTypeObject *)type);
    Py_XDECREF(type);
    return failed;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "nicegold_ops.telemetry._watched",
    .m_slots = module_slots,
};

PyMODINIT_FUNC
PyInit__watched(void)
{
    return PyModuleDef_Init(&module);
}
