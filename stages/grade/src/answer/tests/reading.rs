//! What reads, and what does not.

use super::*;

#[test]
fn prose_that_contains_an_answer_does_not_read() {
    for text in [
        "Answer 9",
        r"Answer \[ 9 \]",
        "Answer $$ 9 $$",
        r"We find that $x \lt 3$.",
        "Thus $x <= 2$ is our answer.",
        r"The sum is $\begin{pmatrix}1\\2\end{pmatrix}$",
        "Special matrix: $1$",
        "the number is not 10 which is 1,000.99€",
        "Jane started growing Sphere 3 hours ago.",
        "The largest $n$ is 34.",
        "7 because 3+4",
        "x is 3",
        "5 is the answer",
        "Let x = 5",
        "hence 7",
        "it follows that x=2",
        "There are 12 ways",
        "So n = 4",
        "Evelyn covered more distance in less time than Briana, Debra and Angela did",
        "1 + ",
        "(1, 2",
        r"\frac{1",
        "",
        r"\unknowable{3}",
        "3 4",
    ] {
        assert!(equal::readable(text).is_err(), "`{text}` reads");
    }
}

#[test]
fn answers_of_every_shape_read() {
    for text in [
        "9",
        r"x \in [-2,7]",
        r"\{1\pm\sqrt{5},-2\}",
        r"137 \frac{1}{2}",
        r"\frac{270}7\text{ degrees}",
        r"11,\! 111,\! 111,\! 100",
        r"\text{Navin}",
        "2516_8",
        r"8n^2 + 4n + 1",
        r"(-\sqrt{3}, \sqrt{3})",
        r"x = \frac{\pi}{2} + k\pi, k \in \mathbb{Z}",
        r"\begin{cases} x & x>0 \\ -x & x \le 0 \end{cases}",
        r"1, 2, \ldots, n",
        r"\overline{AB}",
        r"\triangle ABC",
        r"a_n = 2^n",
        r"\left.\frac{1}{2}\right.",
        r"P(A) = \frac{2}{3}",
        r"\log_{10} 2",
        r"\sqrt[n]{x}",
        r"12\text{ boys and }3\text{ girls}",
    ] {
        assert_eq!(equal::readable(text), Ok(()), "`{text}`");
    }
}
