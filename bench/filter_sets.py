"""What filters.py searches: the attributes of each set, its filters, and the
shapes of queries on which the planner is tried."""

from collections import namedtuple

# source is of csv, its columns with their types in the order of the file; more
# are computed from the row number.  indexed: columns of the vecx index besides
# the vector; every one has a btree, arrays a GIN index.  together: columns that
# depend on one another, of which extended statistics are kept.
Attributes = namedtuple('Attributes', 'source columns computed indexed of_queries together', defaults=(None,))

ATTRIBUTES = {
    'fmnist': Attributes('fmnist/labels.csv', [('label', 'int')], [('uni', 'int', '(id * 7919::bigint % 60000)::int')],
                         ['label', 'uni'], 'fmnist/query_labels.csv'),
    'acl512': Attributes('acl512/attrs.csv.gz', [('year', 'int'), ('venue', 'text'), ('collection', 'text'),
                                                 ('authors', 'int'), ('words', 'int')],
                         [('uni', 'int', '(id * 7919::bigint % 57471)::int')],
                         ['year', 'venue', 'collection', 'authors', 'words', 'uni'], 'acl512/query_attrs.csv.gz',
                         'venue, collection'),
    'made1m': Attributes('made1m/attrs.csv', [('tenant', 'int'), ('uni', 'int'), ('ts', 'timestamptz'), ('tags', 'int[]'),
                                              ('cluster', 'int')], [],
                         ['tenant', 'uni', 'ts', 'tags', 'cluster'], 'made1m/query_attrs.csv'),
}

# kind: a word for the report.  values: for a condition with $2, (type, function
# of the query's attributes and number) giving the value of each query.  partial:
# pgvector has a partial index for it.
Filter = namedtuple('Filter', 'name condition kind values partial', defaults=(None, False))


def share(column, rows, *shares):
    """Ranges of a uniform column that so many rows in a hundred pass."""
    found = []
    for s, partial in shares:
        n = round(rows * s / 100)
        first = 0 if s >= 10 else rows * 2 // 5
        text = f'{column} >= 0' if s == 100 else f'{column} < {n}' if s == 0 or s >= 10 else \
            f'{column} BETWEEN {first} AND {first + n - 1}'
        found.append(Filter(f'uni {s:g} %', text, 'uncorrelated', None, partial))
    return found


def label(of_query, i):
    return of_query['label']


def other_label(of_query, i):
    """The most unlike: clothes for shoes and the other way round."""
    return (int(of_query['label']) + 5) % 10


def tenant_of_rank(first, n):
    return lambda of_query, i: first + i * 7 % n


FILTERS = {
    'fmnist': share('uni', 60000, (100, False), (50, False), (10, False), (1, False), (0.1, False), (0.01, False), (0, False)) + [
        Filter('label', 'label = 3', 'equality', None, True),
        Filter('labels below', 'label < 5', 'range', None, True),
        Filter('labels in', 'label IN (1, 4, 8)', 'IN'),
        Filter('own label', 'label = $2', 'correlated', ('int', label)),
        Filter('other label', 'label = $2', 'anti-correlated', ('int', other_label)),
        Filter('label and uni', 'label = 3 AND uni < 6000', 'two columns'),
        Filter('label or uni', 'label = 3 OR uni < 600', 'OR'),
        Filter('not label', 'NOT (label = 3 OR label = 7)', 'NOT'),
        Filter('function', 'id % 10 = 3', 'not in the index'),
    ],
    'acl512': share('uni', 57471, (100, False), (50, False), (10, False), (1, False), (0.1, False), (0.01, False), (0, False)) + [
        Filter('year', 'year >= 2023', 'range', None, True),
        Filter('venue', "venue = 'coling'", 'equality', None, True),
        Filter('collection', "collection = 'E17'", 'equality'),
        Filter('year, single author', 'year BETWEEN 2021 AND 2022 AND authors = 1', 'two columns'),
        Filter('venues in', "venue IN ('acl', 'naacl', 'eacl')", 'IN'),
        Filter('own collection', 'collection = $2', 'correlated', ('text', lambda of_query, i: of_query['collection'])),
        Filter('own venue', 'venue = $2', 'correlated', ('text', lambda of_query, i: of_query['venue'])),
        Filter('old', 'year < 1990', 'anti-correlated'),
        Filter('words', 'words BETWEEN 100 AND 104', 'range'),
        Filter('venue and words', "venue = 'acl' AND words > 200", 'two columns'),
        Filter('venue or author', "venue = 'cl' OR authors = 12", 'OR'),
        Filter('function', 'words % 10 = 3', 'not in the index'),
    ],
    'made1m': share('uni', 1000000, (100, False), (50, True), (10, True), (1, True), (0.1, False), (0.01, False), (0, False)) + [
        Filter('tenant 1', 'tenant = 1', 'equality'),
        Filter('tenants of 1,000', 'tenant = $2', 'equality', ('int', tenant_of_rank(60, 60))),
        Filter('tenants of 100', 'tenant = $2', 'equality', ('int', tenant_of_rank(830, 9170))),
        Filter('tenants of 5', 'tenant = $2', 'equality', ('int', tenant_of_rank(14000, 86000))),
        Filter('tenants in', 'tenant IN (2, 30, 400, 5000)', 'IN'),
        Filter('month', "ts >= '2024-09-01+00' AND ts < '2024-10-01+00'", 'range'),
        Filter('day', "ts >= '2024-06-15+00' AND ts < '2024-06-16+00'", 'range'),
        Filter('tag', "tags && '{7}'", 'tags &&'),
        Filter('tags any', "tags && '{150,350,650}'", 'tags &&'),
        Filter('tags both', "tags @> '{1,2}'", 'tags @>'),
        Filter('= any tag', '40 = ANY (tags)', '= ANY'),
        Filter('no tags', 'tags IS NULL', 'IS NULL'),
        Filter('own cluster', 'cluster = $2', 'correlated', ('int', lambda of_query, i: of_query['cluster'])),
        Filter('far cluster', 'cluster = $2', 'anti-correlated', ('int', lambda of_query, i: of_query['far'])),
        Filter('far clusters', 'cluster = ANY ($2)', 'anti-correlated', ('int[]', lambda of_query, i: of_query['farthest'])),
        Filter('uni and tenant', 'uni < 100000 AND tenant <= 10', 'two columns'),
        Filter('uni and tag', "uni < 500000 AND tags && '{1}'", 'two columns'),
        Filter('uni or tenant', 'uni < 5000 OR tenant = 20', 'OR'),
        Filter('function', 'id % 10 = 3', 'not in the index'),
    ],
}

# Tenants of at most 100 rows, for the checks of small tenants.
SMALL_TENANTS = ('tenants of 100', 'tenants of 5')

# More shapes than "WHERE filter ORDER BY distance LIMIT n": {t} is the table,
# {o} the distance to the query vector.
SHAPES = {
    'fmnist': [
        ('no WHERE, LIMIT 10', 'SELECT id FROM {t} ORDER BY {o} LIMIT 10'),
        ('OFFSET 200', 'SELECT id FROM {t} WHERE label = 3 ORDER BY {o} LIMIT 10 OFFSET 200'),
        ('no LIMIT', 'SELECT id FROM {t} WHERE uni < 600 ORDER BY {o}'),
        ('distance in the list', 'SELECT id, {o} AS d FROM {t} WHERE label = 7 ORDER BY d LIMIT 10'),
        ('second key', 'SELECT id FROM {t} WHERE label = 2 ORDER BY {o}, id LIMIT 10'),
        ('join', 'SELECT a.id FROM {t} a JOIN {t} b USING (id) WHERE b.label = 3 AND a.uni < 30000 ORDER BY {a} LIMIT 10'),
        ('EXISTS', 'SELECT id FROM {t} a WHERE EXISTS (SELECT FROM {t} b WHERE b.id = a.uni AND b.label = 3) '
         'ORDER BY {a} LIMIT 10'),
    ],
    'acl512': [
        ('no WHERE, LIMIT 10', 'SELECT id FROM {t} ORDER BY {o} LIMIT 10'),
        ('correlated columns', "SELECT id FROM {t} WHERE venue = 'coling' AND collection = 'C18' ORDER BY {o} LIMIT 10"),
        ('LIKE', "SELECT id FROM {t} WHERE collection LIKE 'E%' ORDER BY {o} LIMIT 10"),
        ('IN of a query', "SELECT id FROM {t} WHERE venue IN (SELECT venue FROM {t} WHERE year < 1975) ORDER BY {o} LIMIT 10"),
        ('no LIMIT', "SELECT id FROM {t} WHERE collection = 'E17' ORDER BY {o}"),
    ],
    'made1m': [
        ('no WHERE, LIMIT 10', 'SELECT id FROM {t} ORDER BY {o} LIMIT 10'),
        ('OFFSET 100', 'SELECT id FROM {t} WHERE uni < 100000 ORDER BY {o} LIMIT 10 OFFSET 100'),
        ('tenant and days', "SELECT id FROM {t} WHERE tenant = 3 AND ts BETWEEN '2024-06-15+00' AND '2024-06-17+00' "
         'ORDER BY {o} LIMIT 10'),
        ('no tag of a tenant', "SELECT id FROM {t} WHERE tenant = 2 AND NOT tags && '{{1,2}}' ORDER BY {o} LIMIT 10"),
        ('many tenants', 'SELECT id FROM {t} WHERE tenant = ANY (ARRAY(SELECT generate_series(1000, 1100))) '
         'ORDER BY {o} LIMIT 10'),
        ('no LIMIT', 'SELECT id FROM {t} WHERE tenant = 5000 ORDER BY {o}'),
    ],
}
