/** Events of one version, and how many of them were bad. */
export type Counts = { bad: number; total: number }

/**
 * ln(n!), from 10 on by Stirling's series with an error below 1e-10, which is enough for all p values here. A count of
 * seconds is not an integer.
 */
function logFactorial(n: number): number {
  if (n < 10) return Math.log([1, 1, 2, 6, 24, 120, 720, 5040, 40320, 362880][Math.floor(n)] as number)
  const series = 1 / (12 * n) - 1 / (360 * n ** 3) + 1 / (1260 * n ** 5)
  return n * Math.log(n) - n + Math.log(2 * Math.PI * n) / 2 + series
}
const logChoose = (n: number, k: number): number => logFactorial(n) - logFactorial(k) - logFactorial(n - k)

/**
 * Fisher's exact test, one-sided: the chance that the new version has at least this many bad events if both versions
 * were equal.
 */
export function fisher(old: Counts, other: Counts): number {
  const [bad, total] = [old.bad + other.bad, old.total + other.total]
  const most = Math.min(bad, other.total)
  const all = logChoose(total, bad)
  let p = 0
  for (let k = Math.max(other.bad, bad - old.total); k <= most; k++)
    p += Math.exp(logChoose(other.total, k) + logChoose(old.total, bad - k) - all)
  return Math.min(1, p)
}

/** The largest share of bad events for which so few would be seen with chance `risk` (Clopper and Pearson). */
export function upperBound({ bad, total }: Counts, risk: number): number {
  if (total === 0) return 1
  let [low, high] = [bad / total, 1]
  for (let i = 0; i < 50; i++) {
    const share = (low + high) / 2
    if (atMost(bad, total, share) > risk) low = share
    else high = share
  }
  return high
}

/** The chance of at most `bad` of `total` events when each is bad with this share. */
function atMost(bad: number, total: number, share: number): number {
  let p = 0
  for (let k = 0; k <= bad; k++)
    p += Math.exp(logChoose(total, k) + k * Math.log(share) + (total - k) * Math.log1p(-share))
  return p
}

/**
 * Kendall's test for a rising trend: the chance of such a rise in random order. 1 for fewer than 10 values, too few for
 * its approximation.
 */
export function risingChance(values: readonly number[]): number {
  const n = values.length
  if (n < 10) return 1
  let rises = 0
  for (let i = 0; i < n; i++)
    for (let j = i + 1; j < n; j++) rises += Math.sign((values[j] as number) - (values[i] as number))
  return tail((rises - 1) / Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18))
}

/** The chance of more than z in a normal distribution (Abramowitz and Stegun 26.2.17, error below 1e-7). */
function tail(z: number): number {
  if (z < 0) return 1 - tail(-z)
  const t = 1 / (1 + 0.2316419 * z)
  const poly =
    t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
  return (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * poly
}
