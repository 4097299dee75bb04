/*
 * vtree_page.c
 *    One page of the value tree: finding, adding, removing and sharing out
 *    entries.  Locks and WAL are the callers'.
 */
#include "postgres.h"

#include "am/vtree.h"

void
VecxTreePageInit(Page page, int level, Size entry_size)
{
	VecxTreeHead head;

	VecxPageInit(page, VECX_PAGE_TREE);
	head = VecxTreeGetHead(page);
	memset(head, 0, sizeof(*head));
	head->level = (uint16) level;
	head->entry_size = (uint16) entry_size;
	((PageHeader) page)->pd_lower += sizeof(*head);
}

/*
 * What is wrong with a page whose level and entry size are known to be right,
 * as far as a reader might leave the page by it; NULL if nothing is.
 */
const char *
VecxTreePageWrong(Page page)
{
	PageHeader	header = (PageHeader) page;
	VecxTreeHead head = VecxTreeGetHead(page);
	const uint8 *directory = VecxTreeDirectory(page);
	VecxTreeEntries entries = VecxTreePageEntries(page);
	int			greatest = 0;

	if (head->count > VecxTreeCapacity(head->entry_size) ||
		header->pd_lower != (const char *) (directory + head->count * VecxTreeSlotBytes(head->entry_size)) -
		(const char *) page ||
		header->pd_upper != header->pd_special - head->count * head->entry_size)
		return "a page of the value tree has a wrong number of entries";
	for (int i = 0, n = head->count; i < n; i++)
		greatest = Max(greatest, VecxTreeSlotAt(&entries, i));
	return head->count > 0 && greatest >= head->count ?
		"a page of the value tree has an entry outside its slots" : NULL;
}

/* The first entry that is not less than the key; whether it is the key. */
int
VecxTreePageFind(Page page, const VecxTreeKey *key, bool *found)
{
	int			low = 0;
	int			high = VecxTreeGetHead(page)->count;

	*found = false;
	while (low < high)
	{
		int			middle = (low + high) / 2;
		VecxTreeKey other = VecxTreeEntryKey(VecxTreeEntry(page, middle));
		int			c = VecxTreeCompare(&other, key);

		*found |= c == 0;
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
set_slot(Page page, int at, int slot)
{
	uint8	   *directory = VecxTreeDirectory(page);

	if (VecxTreeSlotBytes(VecxTreeGetHead(page)->entry_size) == 1)
		directory[at] = (uint8) slot;
	else
		((uint16 *) directory)[at] = (uint16) slot;
}

/* Adds an entry; there must be room. */
void
VecxTreePageInsert(Page page, int at, const uint8 *entry)
{
	VecxTreeHead head = VecxTreeGetHead(page);
	int			slot_bytes = VecxTreeSlotBytes(head->entry_size);
	uint8	   *place = VecxTreeDirectory(page) + at * slot_bytes;

	memmove(place + slot_bytes, place, (head->count - at) * slot_bytes);
	set_slot(page, at, head->count++);
	((PageHeader) page)->pd_lower += slot_bytes;
	((PageHeader) page)->pd_upper -= head->entry_size;
	memcpy(VecxTreeEntry(page, at), entry, head->entry_size);
}

/* Removes an entry; what lies in the last slot takes its place. */
void
VecxTreePageRemove(Page page, int at)
{
	VecxTreeHead head = VecxTreeGetHead(page);
	int			slot_bytes = VecxTreeSlotBytes(head->entry_size);
	uint8	   *place = VecxTreeDirectory(page) + at * slot_bytes;
	int			slot = VecxTreeSlot(page, at);
	int			last = head->count - 1;

	if (slot != last)
	{
		int			moved = 0;

		while (VecxTreeSlot(page, moved) != last)
			moved++;
		memcpy(VecxTreeEntry(page, at), VecxTreeEntry(page, moved), head->entry_size);
		set_slot(page, moved, slot);
	}
	memmove(place, place + slot_bytes, (last - at) * slot_bytes);
	set_slot(page, last, 0);
	head->count--;
	((PageHeader) page)->pd_lower -= slot_bytes;
	((PageHeader) page)->pd_upper += head->entry_size;
}

/* An entry of a page as it would be with another one, new, at a place. */
static const uint8 *
entry_with(Page page, int at, const uint8 *new, int i)
{
	if (i == at)
		return new;
	return VecxTreeEntry(page, i < at ? i : i - 1);
}

/*
 * How many of n entries stay on the left page.  Half of them; but where the new
 * one is the last of its column, as times and numbers from a sequence are, more
 * will come behind it: then the left page is left nearly full, and the next
 * column's entries go to the right.
 */
static int
split_point(Page page, int at, const uint8 *entry, int n)
{
	VecxTreeHead head = VecxTreeGetHead(page);
	uint16		column = VecxTreeEntryKey(entry).column;

	if (at == n - 1)
		return VecxPageGetOpaque(page)->next == InvalidBlockNumber ||
			head->high.column != column ? n - Max(n / 16, 1) : n / 2;
	return VecxTreeEntryKey(VecxTreeEntry(page, at)).column != column ? at + 1 : n / 2;
}

/*
 * Shares out the entries of a full page, and a new one, over two empty pages:
 * left takes the place of page, right comes after it.  The caller links them.
 */
void
VecxTreePageSplit(Page page, int at, const uint8 *entry, Page left, Page right)
{
	VecxTreeHead head = VecxTreeGetHead(page);
	int			n = head->count + 1;
	int			nleft = split_point(page, at, entry, n);

	VecxTreePageInit(left, head->level, head->entry_size);
	VecxTreePageInit(right, head->level, head->entry_size);
	for (int i = 0; i < n; i++)
		VecxTreePageInsert(i < nleft ? left : right, i < nleft ? i : i - nleft,
						   entry_with(page, at, entry, i));
	VecxTreeGetHead(left)->high = VecxTreeEntryKey(VecxTreeEntry(right, 0));
	VecxTreeGetHead(right)->high = head->high;
	VecxPageGetOpaque(right)->next = VecxPageGetOpaque(page)->next;
}
