/*
 * validate.c
 *    Checks that an operator class is one this access method can use.
 */
#include "postgres.h"

#include "access/amvalidate.h"
#include "access/htup_details.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "am/am.h"

static bool
complain(const char *family, const char *what, const char *name)
{
	ereport(INFO,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("operator family \"%s\" of access method vecx contains %s %s",
					family, what, name)));
	return false;
}

static bool
check_procs(const char *family, CatCList *procs, bool *has_support)
{
	bool		ok = true;

	for (int i = 0; i < procs->n_members; i++)
	{
		Form_pg_amproc proc = (Form_pg_amproc) GETSTRUCT(&procs->members[i]->tuple);

		if (proc->amprocnum != VECX_SUPPORT_PROC)
			ok = complain(family, "a support function with an invalid number:",
						  format_procedure(proc->amproc));
		else if (!check_amproc_signature(proc->amproc, INTERNALOID, true, 1, 1, INTERNALOID))
			ok = complain(family, "a support function with a wrong signature:",
						  format_procedure(proc->amproc));
		else
			*has_support = true;
	}
	return ok;
}

static bool
check_operators(const char *family, CatCList *operators, Oid type, bool *has_distance)
{
	bool		ok = true;

	for (int i = 0; i < operators->n_members; i++)
	{
		Form_pg_amop op = (Form_pg_amop) GETSTRUCT(&operators->members[i]->tuple);
		const char *name = format_operator(op->amopopr);

		if (op->amopstrategy == VECX_WITHIN_STRATEGY ||
			op->amopstrategy == VECX_WITHIN_OR_NAN_STRATEGY)
		{
			if (op->amoppurpose != AMOP_SEARCH ||
				!check_amop_signature(op->amopopr, BOOLOID, op->amoplefttype, op->amoprighttype))
				ok = complain(family, "an operator with a wrong signature:", name);
		}
		else if (op->amopstrategy != VECX_DISTANCE_STRATEGY &&
				 op->amopstrategy != VECX_NAN_FIRST_STRATEGY)
			ok = complain(family, "an operator with an invalid strategy number:", name);
		else if (op->amoppurpose != AMOP_ORDER || get_op_rettype(op->amopopr) != FLOAT8OID)
			ok = complain(family, "an operator that does not order by a double precision distance:", name);
		else if (!check_amop_signature(op->amopopr, FLOAT8OID, op->amoplefttype, op->amoprighttype))
			ok = complain(family, "an operator with a wrong signature:", name);
		else if (op->amopstrategy == VECX_DISTANCE_STRATEGY &&
				 op->amoplefttype == type && op->amoprighttype == type)
			*has_distance = true;
	}
	return ok;
}

static bool
is_filter_strategy(int strategy)
{
	return (strategy >= VECX_LESS_STRATEGY && strategy <= VECX_NOT_EQUAL_STRATEGY) ||
		strategy == VECX_OVERLAPS_STRATEGY || strategy == VECX_CONTAINS_STRATEGY;
}

/* Operators of a class of filter columns: conditions that a row meets or not. */
static bool
check_conditions(const char *family, CatCList *operators, Oid type, bool *has_condition)
{
	bool		ok = true;

	for (int i = 0; i < operators->n_members; i++)
	{
		Form_pg_amop op = (Form_pg_amop) GETSTRUCT(&operators->members[i]->tuple);
		const char *name = format_operator(op->amopopr);

		if (!is_filter_strategy(op->amopstrategy))
			ok = complain(family, "an operator with an invalid strategy number:", name);
		else if (op->amoppurpose != AMOP_SEARCH ||
				 !check_amop_signature(op->amopopr, BOOLOID, op->amoplefttype, op->amoprighttype))
			ok = complain(family, "an operator with a wrong signature:", name);
		else if ((op->amopstrategy == VECX_EQUAL_STRATEGY ||
				  op->amopstrategy == VECX_OVERLAPS_STRATEGY) &&
				 op->amoplefttype == type && op->amoprighttype == type)
			*has_condition = true;
	}
	return ok;
}

/* Whether a class is one of filter columns: it has no support function, and some
 * condition of theirs. */
static bool
is_filter_family(CatCList *operators, CatCList *procs)
{
	for (int i = 0; i < operators->n_members && procs->n_members == 0; i++)
		if (is_filter_strategy(((Form_pg_amop) GETSTRUCT(&operators->members[i]->tuple))->amopstrategy))
			return true;
	return false;
}

bool
vecxvalidate(Oid opclass)
{
	HeapTuple	class_tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass));
	Form_pg_opclass class;
	CatCList   *operators;
	CatCList   *procs;
	HeapTuple	family_tuple;
	const char *family;
	bool		has_support = false;
	bool		has_operator = false;
	bool		ok;

	if (!HeapTupleIsValid(class_tuple))
		elog(ERROR, "cache lookup failed for operator class %u", opclass);
	class = (Form_pg_opclass) GETSTRUCT(class_tuple);
	family_tuple = SearchSysCache1(OPFAMILYOID, ObjectIdGetDatum(class->opcfamily));
	if (!HeapTupleIsValid(family_tuple))
		elog(ERROR, "cache lookup failed for operator family %u", class->opcfamily);
	family = NameStr(((Form_pg_opfamily) GETSTRUCT(family_tuple))->opfname);
	operators = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(class->opcfamily));
	procs = SearchSysCacheList1(AMPROCNUM, ObjectIdGetDatum(class->opcfamily));

	ok = check_procs(family, procs, &has_support);
	if (is_filter_family(operators, procs))
	{
		ok &= check_conditions(family, operators, class->opcintype, &has_operator);
		if (!has_operator)
			ok = complain(family, "no operator = or && for", format_type_be(class->opcintype));
	}
	else
	{
		ok &= check_operators(family, operators, class->opcintype, &has_operator);
		if (!has_support)
			ok = complain(family, "no support function", "1");
		if (!has_operator)
			ok = complain(family, "no distance operator for", format_type_be(class->opcintype));
	}

	ReleaseCatCacheList(procs);
	ReleaseCatCacheList(operators);
	ReleaseSysCache(family_tuple);
	ReleaseSysCache(class_tuple);
	return ok;
}
