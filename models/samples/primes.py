"""Lists the prime numbers below a limit."""

import argparse
import math


def primes(limit):
    """Yields the primes below `limit`, smallest first."""
    composite = [False] * limit
    for number in range(2, limit):
        if composite[number]:
            continue
        yield number
        if number <= math.isqrt(limit):
            for multiple in range(number * number, limit, number):
                composite[multiple] = True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("limit", type=int)
    arguments = parser.parse_args()
    for prime in primes(arguments.limit):
        print(prime)


if __name__ == "__main__":
    main()
