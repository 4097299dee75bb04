/*
 * code_heap.h
 *    Heaps in arrays, and the selection of the least, of items of any type by a number
 *    of theirs: number(item), an expression without side effects.
 */
#ifndef VECX_CODE_HEAP_H
#define VECX_CODE_HEAP_H

#define VECX_ITSELF(item)	(item)

/* push(heap, &n, item) and pop(heap, &n): the item of the least number is the first.
 * The array must have room for one more. */
#define VECX_DEFINE_HEAP(push, pop, type, number) \
static inline void \
push(type *heap, int *n, type item) \
{ \
	int			i = (*n)++; \
\
	for (; i > 0 && !(number(heap[(i - 1) / 2]) <= number(item)); i = (i - 1) / 2) \
		heap[i] = heap[(i - 1) / 2]; \
	heap[i] = item; \
} \
\
static inline type \
pop(type *heap, int *n) \
{ \
	type		top = heap[0]; \
	type		last = heap[--(*n)]; \
	int			i = 0; \
\
	for (;;) \
	{ \
		int			child = 2 * i + 1; \
\
		if (child >= *n) \
			break; \
		if (child + 1 < *n && number(heap[child + 1]) < number(heap[child])) \
			child++; \
		if (number(last) <= number(heap[child])) \
			break; \
		heap[i] = heap[child]; \
		i = child; \
	} \
	heap[i] = last; \
	return top; \
} \
extern int	no_such_variable

/* name(heap, &n, most, item) keeps an item if it is among the most least so far; they
 * are a heap with the greatest first. */
#define VECX_DEFINE_KEEP_LEAST(name, type, number) \
static inline void \
name(type *heap, int *n, int most, type item) \
{ \
	int			i; \
\
	if (*n < most) \
	{ \
		for (i = (*n)++; i > 0 && number(heap[(i - 1) / 2]) < number(item); i = (i - 1) / 2) \
			heap[i] = heap[(i - 1) / 2]; \
		heap[i] = item; \
		return; \
	} \
	if (number(item) >= number(heap[0])) \
		return; \
	for (i = 0;;) \
	{ \
		int			child = 2 * i + 1; \
\
		if (child >= *n) \
			break; \
		if (child + 1 < *n && number(heap[child + 1]) > number(heap[child])) \
			child++; \
		if (number(item) >= number(heap[child])) \
			break; \
		heap[i] = heap[child]; \
		i = child; \
	} \
	heap[i] = item; \
} \
extern int	no_such_variable

/* name(items, n, count) arranges items so that the count least come first, in no order
 * but that the greatest of them is the last: Hoare's selection, which equal numbers on
 * both sides keep from degrading. */
#define VECX_DEFINE_SELECT_LEAST(name, type, number) \
static inline void \
name(type *items, int n, int count) \
{ \
	int			from = 0; \
	int			to = n - 1; \
\
	while (from < to) \
	{ \
		type		pivot = items[from + (to - from) / 2]; \
		int			i = from; \
		int			j = to; \
\
		while (i <= j) \
		{ \
			while (number(items[i]) < number(pivot)) \
				i++; \
			while (number(items[j]) > number(pivot)) \
				j--; \
			if (i <= j) \
			{ \
				type		swap = items[i]; \
\
				items[i++] = items[j]; \
				items[j--] = swap; \
			} \
		} \
		if (count - 1 <= j) \
			to = j; \
		else if (count - 1 >= i) \
			from = i; \
		else \
			return; \
	} \
} \
extern int	no_such_variable

#endif							/* VECX_CODE_HEAP_H */
