/** Lists that keep the latest and no more than they may. */

export function appended<T>(list: readonly T[], items: readonly T[], limit: number): readonly T[] {
  if (items.length === 0) return list;
  const all = [...list, ...items];
  return all.length > limit ? all.slice(all.length - limit) : all;
}

/** The same for what has an order: an item that is there already is replaced, one that comes late gets its place. */
export function merged<T>(
  list: readonly T[],
  items: readonly T[],
  order: (item: T) => number,
  limit: number,
): readonly T[] {
  const last = list.at(-1);
  const first = items[0];
  const isLater = !last || !first || order(first) > order(last);
  if (isLater && items.length <= 1) return appended(list, items, limit);
  const byOrder = new Map<number, T>();
  for (const item of [...list, ...items]) byOrder.set(order(item), item);
  const all = [...byOrder.entries()].sort(([a], [b]) => a - b).map(([, item]) => item);
  return all.slice(-limit);
}
