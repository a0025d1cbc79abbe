#include "core/stop.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/number.h"

enum { MAX_DEPTH = 16 }; /* of parentheses */

/* Index = enum variable = place in struct cr_stop_values. */
static const char *const variable_name[] = { "top1", "top5", "val_loss", "train_loss", "epoch", "step", "time" };
enum variable { TOP1, TOP5, VAL_LOSS, TRAIN_LOSS, EPOCH, STEP, TIME, VARIABLES };

static double value_of(const struct cr_stop_values *v, int variable)
{
    switch ((enum variable)variable) {
    case TOP1: return v->top1;
    case TOP5: return v->top5;
    case VAL_LOSS: return v->val_loss;
    case TRAIN_LOSS: return v->train_loss;
    case EPOCH: return v->epoch;
    case STEP: return v->step;
    default: return v->time;
    }
}

/* A recursive-descent parser: one function per rule of the grammar, each leaving its nodes in postfix order. */
struct parser {
    const char *text, *at;
    struct cr_stop *out;
    struct cr_error *error;
    int depth;
};

static int __attribute__((format(printf, 3, 4))) fail(struct parser *p, const char *where, const char *format, ...)
{
    char what[256];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    const long column = where - p->text + 1;
    cr_fail(p->error, CR_E_USAGE, "stop expression \"%.256s\", column %ld: %s", p->text, column, what);
    if (p->error) p->error->column = column;
    return -CR_E_USAGE;
}

static int add(struct parser *p, struct cr_stop_node node)
{
    if (p->out->count == CR_STOP_NODES) return fail(p, p->at, "too many conditions");
    p->out->node[p->out->count++] = node;
    return 0;
}

static void skip_blanks(struct parser *p)
{
    while (isspace((unsigned char)*p->at)) p->at++;
}

static size_t word_length(const char *s)
{
    size_t n = 0;
    while (isalnum((unsigned char)s[n]) || s[n] == '_') n++;
    return n;
}

/* Take `word` if it stands here. */
static int take_word(struct parser *p, const char *word)
{
    skip_blanks(p);
    const size_t n = word_length(p->at);
    if (n != strlen(word) || strncmp(p->at, word, n) != 0) return 0;
    p->at += n;
    return 1;
}

static int parse_variable(struct parser *p, int *variable)
{
    const size_t n = word_length(p->at);
    for (int i = 0; i < VARIABLES; i++) {
        if (n == strlen(variable_name[i]) && strncmp(p->at, variable_name[i], n) == 0) {
            *variable = i;
            p->at += n;
            return 0;
        }
    }
    const char *known = "top1, top5, val_loss, train_loss, epoch, step or time";
    if (n == 0) return fail(p, p->at, "expected %s", known);
    return fail(p, p->at, "unknown variable '%.*s', expected %s", (int)(n < 32 ? n : 32), p->at, known);
}

static int parse_operator(struct parser *p, enum cr_stop_kind *kind)
{
    skip_blanks(p);
    const char *const at = p->at;
    if (at[0] != '<' && at[0] != '>') return fail(p, at, "expected >=, >, <= or <");
    const int equal = at[1] == '=';
    *kind = at[0] == '>' ? (equal ? CR_STOP_GE : CR_STOP_GT) : (equal ? CR_STOP_LE : CR_STOP_LT);
    p->at += 1 + equal;
    return 0;
}

/* The characters of a decimal number; an exponent only if digits follow it. */
static size_t number_length(const char *s)
{
    size_t n = *s == '-' || *s == '+';
    while (isdigit((unsigned char)s[n]) || s[n] == '.') n++;
    if (s[n] == 'e' || s[n] == 'E') {
        const size_t sign = s[n + 1] == '-' || s[n + 1] == '+';
        if (isdigit((unsigned char)s[n + 1 + sign])) {
            n += 1 + sign;
            while (isdigit((unsigned char)s[n])) n++;
        }
    }
    return n;
}

static int parse_number(struct parser *p, int variable, double *number)
{
    skip_blanks(p);
    const char *const start = p->at;
    char digits[64];
    const size_t n = number_length(start);
    if (n == 0 || n >= sizeof digits) return fail(p, start, "expected a number");
    memcpy(digits, start, n);
    digits[n] = 0;
    if (cr_parse_double(digits, number) < 0) return fail(p, start, "'%s' is no number", digits);
    p->at += n;

    const int share = variable == TOP1 || variable == TOP5;
    if (share && *p->at == '%') {
        *number /= 100;
        p->at++;
    } else if (variable == TIME && *p->at && strchr("smh", *p->at)) {
        *number *= *p->at == 's' ? 1 : *p->at == 'm' ? 60 : 3600;
        p->at++;
    }
    if (word_length(p->at) > 0 || *p->at == '%')
        return fail(p, p->at, "unit '%.8s' not understood: time takes s, m or h, top1 and top5 take %%", p->at);
    if (share && (*number < 0 || *number > 1))
        return fail(p, start, "%s lies between 0 and 1 (or 0%% and 100%%)", variable_name[variable]);
    return 0;
}

static int parse_expression(struct parser *p);

static int parse_condition(struct parser *p)
{
    skip_blanks(p);
    if (*p->at == '(') {
        if (++p->depth > MAX_DEPTH) return fail(p, p->at, "more than %d parentheses inside each other", MAX_DEPTH);
        p->at++;
        CR_TRY(parse_expression(p));
        skip_blanks(p);
        if (*p->at != ')') return fail(p, p->at, "expected ), and, or");
        p->at++;
        p->depth--;
        return 0;
    }
    struct cr_stop_node node = { 0 };
    CR_TRY(parse_variable(p, &node.variable));
    CR_TRY(parse_operator(p, &node.kind));
    CR_TRY(parse_number(p, node.variable, &node.number));
    return add(p, node);
}

static int parse_conjunction(struct parser *p)
{
    CR_TRY(parse_condition(p));
    while (take_word(p, "and")) {
        CR_TRY(parse_condition(p));
        CR_TRY(add(p, (struct cr_stop_node){ .kind = CR_STOP_AND }));
    }
    return 0;
}

static int parse_expression(struct parser *p)
{
    CR_TRY(parse_conjunction(p));
    while (take_word(p, "or")) {
        CR_TRY(parse_conjunction(p));
        CR_TRY(add(p, (struct cr_stop_node){ .kind = CR_STOP_OR }));
    }
    return 0;
}

int cr_stop_parse(struct cr_stop *s, const char *text, struct cr_error *e)
{
    struct parser p = { .text = text, .at = text, .out = s, .error = e };
    *s = (struct cr_stop){ 0 };
    skip_blanks(&p);
    if (*p.at == 0) return 0;
    CR_TRY(parse_expression(&p));
    skip_blanks(&p);
    if (*p.at) return fail(&p, p.at, "expected and, or, or the end");
    return 0;
}

int cr_stop_holds(const struct cr_stop *s, const struct cr_stop_values *v)
{
    int stack[CR_STOP_NODES], top = 0;
    for (int i = 0; i < s->count; i++) {
        const struct cr_stop_node *const n = &s->node[i];
        const double x = value_of(v, n->variable);
        switch (n->kind) {
        case CR_STOP_GE: stack[top++] = x >= n->number; break;
        case CR_STOP_GT: stack[top++] = x > n->number; break;
        case CR_STOP_LE: stack[top++] = x <= n->number; break;
        case CR_STOP_LT: stack[top++] = x < n->number; break;
        case CR_STOP_AND:
            top--;
            stack[top - 1] &= stack[top];
            break;
        case CR_STOP_OR:
            top--;
            stack[top - 1] |= stack[top];
            break;
        }
    }
    return top > 0 && stack[top - 1];
}
