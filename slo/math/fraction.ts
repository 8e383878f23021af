/** An exact ratio of integers in lowest terms. As a double 9.6/24 would be 0.39999999999999997. */
export type Fraction = { numerator: number; denominator: number }

export function fraction(numerator: number, denominator: number): Fraction {
  const divisor = gcd(numerator, denominator)
  return { numerator: numerator / divisor, denominator: denominator / divisor }
}

export const multiply = (a: Fraction, b: Fraction): Fraction =>
  fraction(a.numerator * b.numerator, a.denominator * b.denominator)

export const complement = ({ numerator, denominator }: Fraction): Fraction =>
  fraction(denominator - numerator, denominator)

/** How much of a whole may be bad with this target. `(1 - target) * whole` would have rounding errors. */
export const allowedBad = ({ numerator, denominator }: Fraction, whole: number): number =>
  (whole * (denominator - numerator)) / denominator

export const toNumber = ({ numerator, denominator }: Fraction): number => numerator / denominator

/** Whether part ÷ whole ≥ ratio, compared as integers. */
export const reaches = (part: number, whole: number, ratio: Fraction): boolean =>
  part * ratio.denominator >= ratio.numerator * whole

/** Half a unit of the tenth decimal place. Two different shares of the minutes of up to 90 days differ by more. */
const mostError = 5e-11

/** The fraction with the smallest denominator that equals a decimal: 0.9583333333333334 is 23/24. */
export function fromDecimal(value: number): Fraction {
  // Near 1 a millionth of the budget is less. 1e-15 is more than the errors of the numbers themselves.
  const within = Math.min(mostError, 1e-6 * (1 - value)) + 1e-15
  let [h0, k0, h1, k1] = [0, 1, 1, 0]
  for (let rest = value; ; rest = 1 / (rest - Math.floor(rest))) {
    const term = Math.floor(rest)
    ;[h0, k0, h1, k1] = [h1, k1, term * h1 + h0, term * k1 + k0]
    if (Math.abs(h1 / k1 - value) < within) return { numerator: h1, denominator: k1 }
  }
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b))
