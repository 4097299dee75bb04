/*
 * compat.h
 *    What differs between PostgreSQL's major versions.  No other file mentions
 *    PG_VERSION_NUM.  Call sites are written for the newest version; this file
 *    supplies the newer spelling where the server is older.
 */
#ifndef VECX_COMPAT_H
#define VECX_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "vecx needs PostgreSQL 15 or later"
#endif

/* varlena macros left postgres.h, and input functions got soft errors, in 16 */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#else
#define errsave(context, ...) \
	do { \
		(void) (context); \
		ereport(ERROR, __VA_ARGS__); \
	} while (0)
#endif

/* relation files got new names in 16 */
#if PG_VERSION_NUM >= 160000
#define RelFileLocatorNumber(locator)	((locator).relNumber)
#else
#define RelFileLocator			RelFileNode
#define RelFileLocatorEquals	RelFileNodeEquals
#define RelFileNumber			Oid
#define RelFileLocatorNumber(locator)	((locator).relNode)
#define rd_locator				rd_node
#endif

/* ownership and privilege checks became one each in 16; tuplesort_getdatum got a choice, to copy */
#if PG_VERSION_NUM >= 160000
#define VecxSchemaAclCheck(schema, role, mode) object_aclcheck(NamespaceRelationId, schema, role, mode)
#define VecxTuplesortGetDatum(state, value, isnull) \
	tuplesort_getdatum(state, true, true, value, isnull, NULL)
#else
#define object_ownercheck(classid, objectid, roleid) pg_class_ownercheck(objectid, roleid)
#define VecxSchemaAclCheck(schema, role, mode) pg_namespace_aclcheck(schema, role, mode)
#define VecxTuplesortGetDatum(state, value, isnull) \
	tuplesort_getdatum(state, true, value, isnull, NULL)
#endif

/* the question whether this is an autovacuum worker got another name in 17 */
#if PG_VERSION_NUM < 170000
#define AmAutoVacuumWorkerProcess()	IsAutoVacuumWorkerProcess()
#endif

/* a snapshot no longer becomes too old since 17 */
#if PG_VERSION_NUM >= 170000
#define TestForOldSnapshot(snapshot, rel, page)	((void) 0)
#endif

/* scans of an index got counters of their own in 18 */
#if PG_VERSION_NUM >= 180000
#define VecxCountSearch(scan) \
	((scan)->instrument ? (void) (scan)->instrument->nsearches++ : (void) 0)
#define VecxIndexBeginScan(heap, index, snapshot, nkeys, norderbys) \
	index_beginscan(heap, index, snapshot, NULL, nkeys, norderbys)
#else
#define VecxCountSearch(scan)	((void) 0)
#define VecxIndexBeginScan(heap, index, snapshot, nkeys, norderbys) \
	index_beginscan(heap, index, snapshot, nkeys, norderbys)
#endif

/* the scan of a plan's node */
#if PG_VERSION_NUM >= 180000
#define VecxNodeBeginScan(node, snapshot) \
	index_beginscan((node)->ss.ss_currentRelation, (node)->iss_RelationDesc, snapshot, \
					&(node)->iss_Instrument, (node)->iss_NumScanKeys, (node)->iss_NumOrderByKeys)
#else
#define VecxNodeBeginScan(node, snapshot) \
	index_beginscan((node)->ss.ss_currentRelation, (node)->iss_RelationDesc, snapshot, \
					(node)->iss_NumScanKeys, (node)->iss_NumOrderByKeys)
#endif

/* EXPLAIN's functions moved in 18 */
#if PG_VERSION_NUM >= 180000
#define VECX_EXPLAIN_HEADER		"commands/explain_format.h"
#define VECX_EXPLAIN_STATE_HEADER	"commands/explain_state.h"
#else
#define VECX_EXPLAIN_HEADER		"commands/explain.h"
#define VECX_EXPLAIN_STATE_HEADER	"commands/explain.h"
#endif

/* the columns that a condition keeps from being NULL became sets in 16 */
#if PG_VERSION_NUM >= 160000
#include "nodes/multibitmapset.h"
#define VecxIsNonnullable(vars, var) \
	mbms_is_member((var)->varno, (var)->varattno - FirstLowInvalidHeapAttributeNumber, vars)
#else
#define VecxIsNonnullable(vars, var)	list_member(vars, var)
#endif

/* NOT NULL may be NOT VALID since 18 */
#if PG_VERSION_NUM >= 180000
#define VecxAttributeIsNotNull(desc, i) \
	(TupleDescCompactAttr(desc, i)->attnullability == ATTNULLABLE_VALID)
#else
#define VecxAttributeIsNotNull(desc, i)	(TupleDescAttr(desc, i)->attnotnull)
#endif

/* set operations take rows in order from below since 17 */
#if PG_VERSION_NUM >= 170000
#define VecxSetopPathkeys(root)	((root)->setop_pathkeys)
#else
#define VecxSetopPathkeys(root)	NIL
#endif

/* what the planner shall not use counts more than costs since 18 */
#if PG_VERSION_NUM >= 180000
#define VecxDisablePath(path)	((path)->disabled_nodes += 1000)
#else
#define VecxDisablePath(path)	((void) 0)
#endif

/* sort directions, and members of equivalence classes of children, are kept apart since 18 */
#if PG_VERSION_NUM >= 180000
#define VecxPathKeyIsDescending(key)	((key)->pk_cmptype == COMPARE_GT)
#else
#define VecxPathKeyIsDescending(key)	((key)->pk_strategy == BTGreaterStrategyNumber)
#define EquivalenceMemberIterator		VecxMemberIterator
typedef struct VecxMemberIterator
{
	struct List *members;
	int			next;
} VecxMemberIterator;
#define setup_eclass_member_iterator(iter, eclass, relids) \
	((iter)->members = (eclass)->ec_members, (iter)->next = 0)
#define eclass_member_iterator_next(iter) \
	((iter)->next < list_length((iter)->members) ? \
	 list_nth_node(EquivalenceMember, (iter)->members, (iter)->next++) : NULL)
#endif

/* a bitmap's pages are handed out without their tuples since 18 */
#if PG_VERSION_NUM >= 180000
#define VecxTbmPage				TBMIterateResult
#define VecxTbmNext(iter, page) tbm_private_iterate(iter, &(page))
#define VecxTbmBlock(page)		((page).blockno)
#define VecxTbmIsLossy(page)	((page).lossy)
#define VecxTbmOffsets(page, offsets, max)	tbm_extract_page_tuple(&(page), offsets, max)
#else
#define VecxTbmPage				TBMIterateResult *
#define VecxTbmNext(iter, page) (((page) = tbm_iterate(iter)) != NULL)
#define VecxTbmBlock(page)		((page)->blockno)
#define VecxTbmIsLossy(page)	((page)->ntuples < 0)
#define VecxTbmOffsets(page, to, max) \
	(memcpy(to, (page)->offsets, sizeof(OffsetNumber) * (page)->ntuples), (page)->ntuples)
#define TBMPrivateIterator		TBMIterator
#define tbm_begin_private_iterate	tbm_begin_iterate
#define tbm_end_private_iterate tbm_end_iterate
#endif

/* memory of a setting's extra data got its own allocator in 16 */
#if PG_VERSION_NUM < 160000
#define guc_malloc(elevel, size)	malloc(size)
#endif

/* the delay point is told since 18 whether ANALYZE is at it */
#if PG_VERSION_NUM < 180000
#define vacuum_delay_point(is_analyze)	vacuum_delay_point()
#endif

#if PG_VERSION_NUM >= 180000
#define VECX_MODULE_MAGIC \
	PG_MODULE_MAGIC_EXT(.name = "vecx", .version = VECX_VERSION)
#else
#define VECX_MODULE_MAGIC PG_MODULE_MAGIC
#endif

#endif							/* VECX_COMPAT_H */
