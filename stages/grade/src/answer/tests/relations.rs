//! Equations, inequalities, assignments and chains.

use super::*;

#[test]
fn equations_are_the_same_up_to_a_factor_and_the_side_of_a_term() {
    same(&[
        ("x^2+y^2=1", "x^{2}+y^{2}=1"),
        ("x^2+y^2=1", "1 = y^2+x^2"),
        ("2x+4y-3=0", r"y=-\frac{1}{2}x+\frac{3}{4}"),
        ("x^2/4 + y^2/3 = 1", "x^2/16 + y^2/12 = 1/4"),
        ("x-2y+z-1=0", "-x+2y-z+1=0"),
        ("5x-7y+11z+4=0", "10x-14y+22z=-8"),
        ("y=2x+3", "2x-y+3=0"),
        ("y=2x+3", "y - 3 = 2x"),
        ("y = -2x", "2x + y = 0"),
        ("y=1/x", "xy=1"),
        (r"\frac{x}{2}+\frac{y}{3}=1", "3x+2y=6"),
        ("y=e^x", "e^x-y=0"),
        ("k=3", "3=k"),
        ("2k=6", "k=3"),
        (r"\sqrt{2}x=2", r"x=\sqrt{2}"),
        ("x=2x-1", "x=1"),
        ("y-1=2(x-3)", "y=2x-5"),
    ]);
    differ(&[
        ("x^2+y^2=1", "x^2-y^2=1"),
        ("x^2+y^2=1", "x^2+y^2=2"),
        ("x + y - z + 2 = 0", "5x - 7y + 11z + 4 = 0"),
        ("k=3", "m=3"),
        ("x+y=1", "0=0"),
        ("x=5", "0=0"),
        ("y=2x+3", "y=2x+4"),
        ("x=1", "x-1=1-x+0y+1"),
        ("7 = 11a+c", "11a+c"),
        ("2x + z = 1", "1"),
        ("x=1", "x<1"),
        (r"x\ne 1", "x=1"),
        (r"F_n = \frac{F_{k}}{2}", r"F_n = \frac{F_{m}}{2}"),
    ]);
}

#[test]
fn equations_of_curves_and_systems() {
    same(&[
        (r"\frac{x^2}{4}+\frac{y^2}{3}=1", "3x^2+4y^2=12"),
        ("(x-1)^2+y^2=4", "x^2-2x+y^2=3"),
        (r"y=\frac{1}{2}x+1", "x-2y+2=0"),
        ("y=x^2", "x^2-y=0"),
        (r"y=\frac{x+1}{x-1}", "xy-y=x+1"),
        (r"\rho = 2\cos\theta", r"\rho - 2\cos\theta = 0"),
        ("a_n = 2^n", "a_n=2^{n}"),
        ("a_n = 2^n", "2^n"),
        ("a_{n} = 2n-1", "a_n = n + (n-1)"),
        ("f(x)=x^2+2x+1", "f(x) = (x+1)^2"),
        ("f(x)=x^2", "x^2"),
        ("f^{-1}(x) = x-1", "x-1"),
        ("f'(x)=2x", "2x"),
        ("P(A)=2/3", "2/3"),
        (r"P(A)=\frac{2}{3}", "P(A) = 4/6"),
        ("S_{ABC} = 12", "12"),
        ("x+y=1, x-y=3", "x-y=3, y+x=1"),
        (r"\begin{cases} x+y=1 \\ x-y=3 \end{cases}", "x+y=1, x-y=3"),
        (r"x=2k\pi, k\in\mathbb{Z}", r"x = 2\pi k, k \in \mathbb Z"),
        (r"\cos\theta = \frac{1}{2}", r"\frac12 = \cos\theta"),
        ("m + n = 5", "5 = n+m"),
        (r"3x \equiv 1 \pmod 7", r"3x \equiv 1 \pmod{7}"),
    ]);
    differ(&[
        ("(x-1)^2+y^2=4", "(x+1)^2+y^2=4"),
        (r"y=\frac{x+1}{x-1}", r"y=\frac{x-1}{x+1}"),
        ("y=2x", "y=-2x"),
        ("y=x^2", "x=y^2"),
        ("f(x)=x^2", "f(x)=x^3"),
        ("a_n = 2^n", "b_n = 2^n"),
        ("x+y=1, x-y=3", "x+y=1, x-y=2"),
        ("x+y=5", "5"),
        (r"\sin x=1", r"\cos x=1"),
    ]);
}

#[test]
fn a_name_may_be_left_out() {
    same(&[
        ("5", "x=5"),
        ("k=1", "1"),
        ("5", "5=x"),
        ("x=5", r"x = 2+3"),
        ("2x+3", "y=2x+3"),
        ("1", "f(x)=1"),
        ("x+1", "f(x)=x+1"),
        ("5", "AB=5"),
        ("5", "Area = 5"),
        ("5", r"\text{Area} = 5"),
        ("4,5", "AB=4,CD=5"),
        ("-5, 14/3", r"x = -5,\ p = \frac{14}{3}"),
        ("(3,2)", "(p,q)=(3,2)"),
        (
            "(5,8),(8,5)",
            r"(x, y) = (5, 8) \quad \text{and} \quad (8, 5)",
        ),
        ("k = 45, n = 2", r"k = 45 \quad \text{and} \quad n = 2"),
        ("11:21", "V_{1}:V_{2}=11:21"),
        ("-1, 1", "W(n) = 1 \\text{ and } W(n) = -1"),
        (r"W(n) = 1 \text{ and } W(n) = -1", "W(x)=1orW(x)=-1"),
        ("f(x)=x+1", "f(t)=t+1"),
        ("(1,2)", "x=1, y=2"),
        ("x_1=2,x_2=3", "3,2"),
        (
            r"x_{1}=\frac{1}{2},\quadx_{2}=\frac{1}{3}",
            r"\frac12,\frac13",
        ),
        ("n=2,3", "2,3"),
        (r"\begin{cases}x=1\\y=2\end{cases}", "x=1, y=2"),
        (
            r"A=\begin{pmatrix}1\\2\end{pmatrix}",
            r"\begin{pmatrix}1\\2\end{pmatrix}",
        ),
        ("x=5", r"x=5\text{ cm}"),
        (r"\angle ABC = 30^\circ", r"30^\circ"),
    ]);
    differ(&[
        ("n=2, 3, 4", "n=1, 2, 3"),
        ("AB=4,CD=5", "5,4"),
        ("x=1,y=2", "x=2,y=1"),
        ("(p,q)=(3,2)", "(2,3)"),
        ("f(x)=x+1", "f(t)=t+2"),
        ("f(x)=x+1", "g(x)=x+1"),
        ("5", "x=6"),
    ]);
}

#[test]
fn names_of_many_kinds() {
    same(&[
        ("5", "= 5"),
        ("3.14", r"\approx 3.14"),
        ("5", "|AB| = 5"),
        ("5", r"\overline{AB} = 5"),
        ("(1,2)", r"\overrightarrow{AB} = (1,2)"),
        ("1/2", r"\sin A = \frac{1}{2}"),
        ("1/2", r"P(X=1) = \frac{1}{2}"),
        ("1/2", r"P(A \mid B) = 0.5"),
        (r"P(A \cap B) = \frac{1}{6}", "1/6"),
        ("5", "f(3)=5"),
        ("4045", "a_{2023} = 4045"),
        ("{1,2}", r"A = \{1, 2\}"),
        (r"y = \pm\frac{3}{4}x", r"y=\frac34x, y=-\frac34x"),
        ("30", r"\angle A = 30^\circ"),
        (r"S_n = n^2", "n^2"),
        (r"\{(x,y) \mid x+y=1\}", r"\{(x, y) : x + y = 1\}"),
        (r"(-\infty,a)\cup(b,\infty)", r"(b,+\infty)\cup(-\infty,a)"),
        (
            r"\frac{\pi}{4}+k\pi, k\in\mathbb{Z}",
            r"k\pi+\frac{\pi}{4}, k \in \mathbb{Z}",
        ),
    ]);
    differ(&[
        ("3", "|x|=3"),
        ("5", "m+n=5"),
        (r"P(A)=\frac12", r"P(B)=\frac12"),
        ("6", "x(x+1)=6"),
        (r"y = \pm\frac{3}{4}x", r"y=\frac34x"),
        (r"(-\infty,a)\cup(b,\infty)", r"(-\infty,b)\cup(a,\infty)"),
    ]);
}

#[test]
fn solutions_that_are_numbered_and_lines_that_are_aligned() {
    same(&[
        ("x_1 = 1, x_2 = 2", "x = 1, 2"),
        ("x_1 = 1, x_2 = 2", "x=1 or x=2"),
        (r"\frac{dy}{dx} = 2x", "2x"),
        (
            r"\begin{aligned} x &= 1 \\ y &= 2 \end{aligned}",
            "x=1, y=2",
        ),
        (r"\begin{align*} x &= 1 \end{align*}", "x=1"),
        (r"x_{1,2} = 1\pm\sqrt{2}", r"1+\sqrt2, 1-\sqrt2"),
    ]);
    differ(&[("x_1 = 1", "y = 1"), ("x_1 = 1", "x_2 = 1")]);
}

#[test]
fn the_last_value_of_a_chain_counts() {
    same(&[
        ("x = 11", "x = 5+5+1 = 7 =11"),
        ("z = 1 + 1 = 2", "z = 3+3 = 2"),
        ("11", "x = 5+5+1 = 11"),
        (r"A = \pi r^2 = 9\pi", r"9\pi"),
        (r"\frac{1}{2}+\frac{1}{3} = \frac{5}{6}", r"\frac56"),
        (r"x=\sqrt{2}\approx 1.414", r"\sqrt{2}"),
        (r"\sqrt{2}\approx 1.414", r"\sqrt{2}"),
        (r"x \approx 1.41", "1.41"),
        (r"\sqrt{17} \approx 4.12", "4.12"),
        (
            r"\Delta p\approx -\frac{\hbar\omega_{L}}{c}",
            r"-\frac{\omega_{L}\hbar}{c}",
        ),
    ]);
    differ(&[
        ("x = 11", "x = 11 = 12"),
        ("7", r"x = 5 \approx 7"),
        (r"\sqrt{17} \approx 4.12", "4.13"),
    ]);
}

#[test]
fn inequalities_keep_their_sense_and_strictness() {
    same(&[
        ("x<3", r"x \lt 3"),
        (r"x \leq 2", "x <= 2"),
        (r"x \leq 5", r"5 \geq x"),
        ("x > 5", r"5 < x"),
        ("x < 1", "-x > -1"),
        ("x < 1", "2x < 2"),
        ("x+y < 1", "-x-y > -1"),
        ("x^2+y^2 < 4", "4 > y^2+x^2"),
        ("x^2 < 4", "2x^2 < 8"),
        ("x != 3", r"x \neq 3"),
        ("x != 3", r"2x \ne 6"),
        ("a<b<c", "c>b>a"),
        (r"0 < a \le b", r"b \ge a > 0"),
        ("x⩽2", "x≤2"),
    ]);
    differ(&[
        ("x < 1", "x > -1"),
        ("x > 5", "x < 5"),
        ("x < 1", r"x \le 1"),
        ("x < 1", "-x < -1"),
        ("x+y < 1", "x+y > 1"),
        ("x+y < 1", r"x+y \le 1"),
        ("a<b<c", "a<c<b"),
    ]);
}

#[test]
fn ratios_and_times() {
    same(&[
        ("1:2", "2:4"),
        ("1:2", "1/2"),
        ("11:21", "11 : 21"),
        ("1:2:3", "2:4:6"),
        ("12:00", "12:00"),
        ("3:15 pm", r"3:15 \text{ p.m.}"),
        ("3:15", "3:15 pm"),
        ("3:05", "3:05"),
    ]);
    differ(&[
        ("1:2", "2:1"),
        ("12:00", "1:00"),
        ("1:2:3", "1:2:4"),
        ("3:15 pm", "3:15 am"),
        ("2:10", "4:20"),
        ("4:30", "4:31"),
    ]);
}
