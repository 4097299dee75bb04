"""What vecx has to reach, and whether the figures of a set show it: one row per
check, beside what the peer reached."""

import math
from collections import namedtuple

RECALLS = (0.95, 0.99)
TARGETS = (0.90, 0.95, 0.99)
FIXED_WIDTH = 100
PEERS = ('pgvector-64', 'pgvector-200')
NOT_THERE = 'not available'     # this vecx has no such setting or function
LEAST_MISS = 1e-4       # stands for no miss at all where a logarithm is needed

# (bar, aim).  Ratios are vecx to its peer; where they are of costs, low is better.
SPEED = (4, 8)
HNSWLIB = (0.5, 1)
BUILD = (1 / 4, 1 / 10)
TWO_PROCESSES = (1.7, 1.9)
TIGHT_MEMORY = (2, 1.3)
INSERTS = (3, 6)
INSERT_WAL = (1, 0.5)
SIZE = {'sift200k': (1.5, 1.2), 'acl512': (1.1, 0.75), 'fmnist': (0.6, 0.4), 'bge1024': (0.4, 0.3)}
TARGET_RECALL = (-0.02, -0.01)
TARGET_SPEED = (0.8, 0.9)
UNCALIBRATED = (-0.03, -0.02)
CALIBRATED = (-0.01, -0.01)
POOR = (0.01, 0.003)
COLD = (1 / 5, 1 / 10)
COPIES = (1, 1)
THREADS = (1, 1)
STATEMENT = (1 / 4, 1 / 6)
INDEX_BLOCKS = {'fmnist': (1 / 8, 1 / 12), 'sift200k': (1 / 12, 1 / 18), 'acl512': (1 / 12, 1 / 18)}

# check is the same words for all sets, detail what only this set has to add;
# verdict is '' for a row that is shown but not judged.
Row = namedtuple('Row', 'check detail mine peer shown bar aim verdict')


def named(items, key, name):
    return next((i for i in items or [] if i.get(key) == name), None)


# ---- forms of a figure ----

def cell(value, digits=0):
    return '-' if value is None else f'{value:,.{digits}f}'


def seconds(value):
    """Of a build."""
    return cell(value, 1 if value >= 2 else 2)


def fraction(ratio):
    """A ratio of costs as one reads it beside a bar such as 1/8; infinity is a bar that all meet."""
    if ratio == math.inf:
        return 'reported'
    return f'1/{1 / ratio:.3g}' if 0 < ratio < 0.5 else f'{ratio:.2f}'


def times(ratio):
    return 'at the floor' if ratio == math.inf else f'{ratio:.3g}x'


def difference(value):
    return f'{value:+.4f}'.rstrip('0')


def percent(share):
    return f'{100 * share:.3g} %'


def number(value):
    return f'{value:g}'


def row(check, mine, peer, value, limits, form, low=False, digits=0, detail='', missing='not measured'):
    """value is judged by limits, (bar, aim), if both are known; missing is the verdict without a value."""
    verdict = ''
    if limits and value is None:
        verdict = missing
    elif limits:
        met = [value <= b if low else value >= b for b in limits]
        verdict = 'aim met' if met[1] else 'met' if met[0] else 'missed'
    return Row(check, detail, cell(mine, digits), cell(peer, digits), '-' if value is None else form(value),
               *([form(b) for b in limits] if limits else ['-', '-']), verdict)


def ratio_of(mine, peer):
    return mine / peer if mine is not None and peer else None


def cost(check, mine, peer, limits, digits=1, detail=''):
    return row(check, mine, peer, ratio_of(mine, peer), limits, fraction, True, digits, detail)


def speed(check, mine, peer, limits, digits=0, detail='', missing='not measured'):
    return row(check, mine, peer, ratio_of(mine, peer), limits, times, False, digits, detail, missing)


# ---- interpolation ----

def at_recall(curve, recall, value):
    """value(point) where searches of a fixed width reach the recall."""
    return between(curve['points'] if curve else [], recall, value)


def by_target(curve):
    """The searches whose width was left to the index, by what they found."""
    points = [p for p in (curve or {}).get('targets', []) if 'target' in p]
    return sorted(points, key=lambda p: p['recall'])


def at_recall_somehow(curve, recall, value):
    """The same by whichever of vecx.ef_search and vecx.target_recall takes less time."""
    ways = [points for points in ((curve or {}).get('points', []), by_target(curve))
            if between(points, recall, time_us) is not None]
    return between(min(ways, key=lambda points: between(points, recall, time_us)), recall, value) if ways else None


def between(points, recall, value):
    """value(point) where a curve reaches the recall: linear in the logarithm
    of the miss rate between the two points around it.  When the first point
    is already better, its own value; None when none is good enough."""
    before = None
    for point in points:
        if value(point) is None:
            return None
        if point['recall'] >= recall:
            if before is None or point['recall'] <= before['recall']:
                return value(point)
            miss = [math.log(max(1 - p['recall'], LEAST_MISS)) for p in (before, point)]
            goal = math.log(max(1 - recall, LEAST_MISS))
            share = (goal - miss[0]) / (miss[1] - miss[0]) if miss[0] != miss[1] else 1
            return value(before) + share * (value(point) - value(before))
        before = point
    return None


def time_us(point):
    return point['times']['mean_us']


def best_us(point):
    return point['times']['best_us']


def server_us(point):
    return point['times']['server_us']


def index_blocks(point):
    return point.get('index_blocks')


def statement_blocks(point):
    return point.get('statement_blocks')


def width(point):
    return point['width']


def curve_of(rowset, engine):
    return named(rowset['curves'], 'engine', engine)


def best_peer(rowset, recall, value, peers=PEERS):
    """The lower cost of pgvector's two builds, or of other peers, and whose it is."""
    found = [(at_recall(curve_of(rowset, name), recall, value), name) for name in peers]
    return min([f for f in found if f[0] is not None], default=(None, None))


def fixed_recall(curve):
    point = named(curve['points'], 'width', FIXED_WIDTH)
    return point['recall'] if point else None


# ---- searches ----

def per_second(us):
    return us and 1e6 / us


def mostly_floor(mine, own, floor, recall):
    """Whether the rule of the floor holds: noise alone must not invoke it, best rounds have to agree."""
    return floor > own / 2 and mine['floor']['best_us'] > at_recall_somehow(mine, recall, best_us) / 2


def in_process_rows(rowset, recall, name, limits, engine='vecx'):
    """Queries a second beside a search without SQL, which has no floor."""
    mine = curve_of(rowset, engine)
    own, peer = at_recall_somehow(mine, recall, time_us), at_recall(curve_of(rowset, name), recall, time_us)
    check = f'queries/s at recall {recall}, {name} in process'
    if own is None or peer is None or not mostly_floor(mine, own, mine['floor']['mean_us'], recall):
        return [speed(check, per_second(own), per_second(peer), limits)]
    above = own - mine['floor']['mean_us']
    return [row(check, above, peer, peer / above if above > 0 else math.inf, limits, times, digits=1,
                detail='us, ours above the floor of SQL'),
            speed(check, per_second(own), per_second(peer), None, detail='floor included')]


def speed_rows(rowset, recall, value, key, what, limits, engine='vecx', peers=PEERS, whose='pgvector'):
    """Queries a second; above the floor of SQL where that is most of the time."""
    mine = curve_of(rowset, engine)
    own = at_recall_somehow(mine, recall, value)
    peer, name = best_peer(rowset, recall, value, peers)
    check = f'{what} at recall {recall}, {whose}'
    if own is None or peer is None:
        return [speed(check, per_second(own), per_second(peer), limits)]
    floors = [curve_of(rowset, n)['floor'][key] for n in (engine, name)]
    above = [own - floors[0], peer - floors[1]]
    applies = limits and mostly_floor(mine, own, floors[0], recall)
    over = above[1] / above[0] if above[0] > 0 else math.inf
    if applies:
        return [row(check, above[0], above[1], over, limits, times, digits=1, detail='us above the floor of SQL'),
                speed(check, per_second(own), per_second(peer), None, detail=f'{name}, floor included')]
    return [speed(check, per_second(own), per_second(peer), limits, detail=name),
            row(check, above[0], above[1], over, None, times, digits=1, detail='us above the floor of SQL')]


def search_rows(rowset):
    rows = []
    mine = curve_of(rowset, 'vecx')
    for recall in RECALLS:
        rows += speed_rows(rowset, recall, time_us, 'mean_us', 'queries/s', SPEED)
        rows += speed_rows(rowset, recall, best_us, 'best_us', "queries/s of each query's best round", None)
        rows += speed_rows(rowset, recall, server_us, 'server_us', 'queries/s of processor time', None)
    for recall in RECALLS:
        rows += in_process_rows(rowset, recall, 'hnswlib', HNSWLIB)
    for recall in RECALLS:
        judged = recall == RECALLS[-1]
        rows.append(cost(f'index blocks a query at recall {recall}', at_recall_somehow(mine, recall, index_blocks),
                         best_peer(rowset, recall, index_blocks)[0],
                         INDEX_BLOCKS.get(rowset['name']) if judged else None))
        rows.append(cost(f'statement blocks a query at recall {recall}', at_recall_somehow(mine, recall, statement_blocks),
                         best_peer(rowset, recall, statement_blocks)[0], STATEMENT if judged else None))
    return rows


def target_rows(rowset):
    """Recall asked for: what came of it, and the fixed width that gives the wanted recall."""
    rows = []
    curve = curve_of(rowset, 'vecx')
    for target in TARGETS:
        point = named(curve.get('targets'), 'target', target)
        recall = point and point['recall']
        own = point and time_us(point)
        fixed = at_recall(curve, target, time_us)
        rows.append(row(f'target_recall {target}: recall', recall, target, recall and recall - target,
                        UNCALIBRATED if is_foreign(rowset) else TARGET_RECALL, difference, digits=4,
                        missing=NOT_THERE))
        rows.append(speed(f'target_recall {target}: queries/s, fixed width', per_second(own), per_second(fixed), TARGET_SPEED,
                          missing=NOT_THERE))
        if recall:
            same = at_recall(curve, recall, time_us)
            rows.append(speed(f'target_recall {target}: queries/s, fixed width', per_second(own), per_second(same), None,
                              detail='width of the recall that came of it'))
    return rows + calibration_rows(rowset) + poor_rows(curve)


def is_foreign(rowset):
    """Whether its queries are not like the rows."""
    return rowset['name'].endswith(('-title', '-sift'))


def calibration_rows(rowset):
    if not is_foreign(rowset):
        return []
    rows = []
    for target in TARGETS:
        half = named(rowset.get('calibration'), 'target', target)
        for when, limits in (('before', UNCALIBRATED), ('after', CALIBRATED)):
            recall = half and half[when]
            rows.append(row(f'target_recall {target}: recall {when} vecx_calibrate', recall, target,
                            recall and recall - target, limits, difference, digits=4, detail='half of the queries',
                            missing=NOT_THERE))
    return rows


def poor_rows(curve):
    """Queries of the default settings that went wrong."""
    default = next((p for p in curve.get('targets', []) if 'target' not in p), None)
    if not default:
        return [row('share of queries with recall below .5', None, None, None, POOR, percent, True)]
    return [row('share of queries with recall below .5', default['poor_queries'], default['queries'],
                default['poor_queries'] / default['queries'], POOR, percent, True,
                detail=f"defaults: recall {default['recall']:.4f}, the worst {default['worst_recall']:.1f}")]


# ---- builds, inserts, pages ----

def build_rows(figures):
    vecx = named(figures['engines'], 'engine', 'vecx')
    small = named(figures['engines'], 'engine', PEERS[0]) or {}
    again = named(figures.get('builds'), 'engine', 'vecx')
    rows = [cost('build by one process, s, pgvector', vecx['build_seconds'], small.get('build_seconds'), BUILD),
            cost('build by one process, s of processor, pgvector', vecx['build_cpu_seconds'],
                 small.get('build_cpu_seconds'), BUILD)]
    if again:
        one, two, tight = again['one'], again['two'], again.get('tight')
        mib = again['need_bytes'] / 1048576
        whose = 'vecx_estimate' if again['estimate_bytes'] else 'measured'
        longer = max(two['cpu_seconds'], two['workers_cpu_seconds'])
        rows += [speed('build by two processes, s, against one', one['seconds'], two['seconds'], TWO_PROCESSES, digits=1),
                 speed('build by two processes, s, against one', one['cpu_seconds'], longer, None, digits=1,
                       detail="processor time of the one and of the busier of the two")]
        if again.get('both_seconds'):
            rows.append(speed('two builds by one process each, s, at once against one after the other', 2 * one['seconds'],
                              again['both_seconds'], None, digits=1, detail='what two processors of this machine give'))
        if tight:
            rows += [cost('build with a tenth of the memory, s, against its need', tight['seconds'], one['seconds'],
                          TIGHT_MEMORY, detail=f'need {mib:,.0f} MiB, {whose}'),
                     cost('build with a tenth of the memory, s, against its need', tight['cpu_seconds'],
                          one['cpu_seconds'], None, detail='processor time')]
    mib = [e and e['index_bytes'] / 1048576 for e in (vecx, small)]
    return rows + [cost('index, MiB', mib[0], mib[1] or None, SIZE.get(figures['set']))]


def insert_rows(figures):
    mine = named(figures.get('inserts'), 'engine', 'vecx')
    peer = named(figures.get('inserts'), 'engine', PEERS[0])
    if not mine or not peer:
        return []
    bare = named(figures['inserts'], 'engine', 'no index')
    rows = []
    for check, key in (('inserts/s in one transaction', 'rows_per_second'),
                       ('inserts/s, one a transaction', 'rows_per_second_each')):
        rows.append(speed(check, mine.get(key), peer.get(key), INSERTS))
        if bare and key in bare and key in mine and key in peer:
            above = [1e6 / i[key] - 1e6 / bare[key] for i in (mine, peer)]
            rows.append(row(check, *above, above[1] / above[0] if above[0] > 0 else math.inf, None, times,
                            detail='us a row above a table without an index'))
    return rows + [
        cost('WAL bytes an inserted row', mine['wal_per_row'], peer['wal_per_row'], INSERT_WAL, 0),
        cost('WAL bytes an inserted row right after a checkpoint', mine['wal_per_row_after_checkpoint'],
             peer['wal_per_row_after_checkpoint'], INSERT_WAL, 0)]


def cold_reads(figures, engine, recall, key):
    cold = named(figures.get('cold'), 'engine', engine)
    point = cold and named(cold['points'], 'width', cold['levels'].get(str(recall)))
    return point and point.get(key)


def cold_rows(figures):
    if not named(figures.get('cold'), 'engine', 'vecx'):
        return []
    rows = []
    for recall in RECALLS:
        for key, when in (('reads_empty', 'nothing in the pool before'), ('reads_steady', 'after other queries')):
            peers = [r for r in (cold_reads(figures, p, recall, key) for p in PEERS) if r is not None]
            rows.append(cost(f'cold: index pages read a query at recall {recall}, {when}',
                             cold_reads(figures, 'vecx', recall, key), min(peers, default=None), COLD))
    return rows


def copies_rows(figures):
    if len(figures.get('copies', [])) < 2:
        return []
    without, with_copies = figures['copies']
    rates = [c['rows'] / c['build']['seconds'] for c in (with_copies, without)]
    ncopies = with_copies['rows'] - without['rows']
    return [speed('a million copies: rows/s of a build, without them', *rates, COPIES,
                  detail=f"{with_copies['build']['seconds']:.1f} s and {without['build']['seconds']:.1f} s"),
            speed('a million copies: inserts/s of other rows, without them', with_copies['inserts_per_second'],
                  without['inserts_per_second'], COPIES),
            speed('a million copies: inserts/s of more copies, other rows', with_copies['copies_per_second'],
                  with_copies['inserts_per_second'], COPIES),
            row('a million copies: found', with_copies['found'], ncopies, with_copies['found'] / ncopies, (1, 1), percent,
                detail=f"of all rows {with_copies['returned'] / with_copies['rows']:.0%}")]


def thread_rows(figures):
    threads = figures.get('threads')
    return [row('threads of a backend that built, trained and searched', threads, None, threads, THREADS, number, True)] \
        if threads else []


def rows_of(figures, rowset):
    """All checks of one set of queries; those of its index stand with the first."""
    if not curve_of(rowset, 'vecx'):
        return []
    rows = search_rows(rowset) + target_rows(rowset)
    if rowset is figures['rowsets'][0]:
        rows += build_rows(figures) + insert_rows(figures) + cold_rows(figures) + copies_rows(figures) + thread_rows(figures)
    return rows
