//! Functions of variables, names, indices and matrices.

use super::*;

#[test]
fn polynomials_and_quotients() {
    same(&[
        ("(x-2)(x+2)", "x^2-4"),
        ("(a+5)(b+2)", "ab+2a+5b+10"),
        ("2k+2", "2(k+1)"),
        ("p-q", "-q+p"),
        ("5r^5", "5 r^{5}"),
        ("xy", "yx"),
        ("abc", "cab"),
        ("ab", "a \\cdot b"),
        ("x**2", "x^2"),
        ("x²+y²", "x^2+y^2"),
        (r"\frac{x^2-1}{x-1}", "x+1"),
        (r"\frac{a}{b}+\frac{c}{d}", r"\frac{ad+bc}{bd}"),
        ("6r^2-4r-24", "2(3r^2-2r-12)"),
        (r"\frac{11+9a}{20}", r"\frac{11}{20}+\frac{9a}{20}"),
        (r"\frac{1}{2}x", "x/2"),
        ("2[x+1]", "2x+2"),
        ("n^2+19n+88", "(n+8)(n+11)"),
    ]);
    differ(&[
        ("x+2n+1", "x+1"),
        ("n^2+19n+88", "n^2+19n+89"),
        ("x", "y"),
        ("n", "N"),
        ("xy", "x+y"),
    ]);
}

#[test]
fn functions_without_an_exact_form() {
    same(&[
        (r"\tan^2(y)+1", r"\sec^2(y)"),
        (r"\sin 2x", r"2\sin x\cos x"),
        (r"\cot x", r"\frac{\cos x}{\sin x}"),
        (r"\cot x", r"\frac{1}{\tan x}"),
        (r"\sqrt{ab}", r"\sqrt{a}\sqrt{b}"),
        ("sinx", r"\sin x"),
        ("2sin(x)", r"2\sin(x)"),
        (r"\ln(x^2)", r"2\ln x"),
        (r"e^{x+y}", r"e^x e^y"),
        (r"\frac{1}{\sqrt{x}}", r"\frac{\sqrt{x}}{x}"),
        (r"x^{a+b}", r"x^a x^b"),
        (r"2^{n+1}", r"2\cdot 2^n"),
        (r"\arcsin x", r"\sin^{-1} x"),
        (r"\exp(x)", "e^x"),
    ]);
    differ(&[
        (r"\sin x", r"\cos x"),
        (r"\sqrt{x^2}", "x"),
        (r"\ln(x+y)", r"\ln x+\ln y"),
    ]);
}

#[test]
fn several_variables() {
    same(&[
        ("(x+y)^2", "x^2+2xy+y^2"),
        ("(a+b+c)^2", "a^2+b^2+c^2+2ab+2bc+2ca"),
        (r"\frac{a^2-b^2}{a+b}", "a-b"),
        (r"\frac{1}{a}+\frac{1}{b}", r"\frac{a+b}{ab}"),
        (
            r"\frac{q_0}{\sqrt{2LC}}",
            r"\frac{ q_{0} }{ \sqrt{2 C L}  }",
        ),
        (r"\sqrt{\frac{2h}{g}}", r"\frac{\sqrt{2hg}}{g}"),
        (r"\sqrt{\frac{a}{b}}", r"\frac{\sqrt{a}}{\sqrt{b}}"),
        (r"\frac{GMm}{r^2}", "G M m r^{-2}"),
        (r"\frac{mg}{k}", "mg/k"),
        (r"v_0\cos\theta", r"\cos(\theta)v_0"),
        (r"2\pi\sqrt{\frac{l}{g}}", r"2\pi \sqrt{l/g}"),
        (r"\frac{1}{2}mv^2", "0.5 m v^2"),
        (r"e^{-\lambda t}", r"\exp(-\lambda t)"),
        (r"a\sin(\omega t)", r"a \sin \omega t"),
        (r"x^{\frac{1}{3}}", r"\sqrt[3]{x}"),
        (r"(\sin x)^2", r"\sin^2 x"),
        (r"\sin(x+y)", r"\sin x\cos y+\cos x\sin y"),
        (r"\log_2 x", r"\frac{\ln x}{\ln 2}"),
        (r"\log(xy)", r"\log x+\log y"),
        (r"|x-1|", "|1-x|"),
        (r"\frac{n(n+1)}{2}", r"\frac{n^2+n}{2}"),
        (r"2^n-1", "-1+2^{n}"),
        ("2mg", "2gm"),
        (r"\binom{n}{2}", r"\frac{n(n-1)}{2}"),
        (r"\Delta x", "Δx"),
        (r"\mathbf{a}+\mathbf{b}", "a+b"),
    ]);
    differ(&[
        ("(x+y)^2", "x^2+y^2"),
        (r"\frac{1}{a+b}", r"\frac{1}{a}+\frac{1}{b}"),
        (r"\sin(2x)", r"2\sin x"),
        (r"\frac{q_0}{\sqrt{2LC}}", r"\frac{q_0}{\sqrt{LC}}"),
        (r"|x-1|", "x-1"),
        (r"\sqrt{x+y}", r"\sqrt{x}+\sqrt{y}"),
        (r"e^{-\lambda t}", r"e^{\lambda t}"),
    ]);
}

#[test]
fn indices_and_primes_are_part_of_a_name() {
    same(&[
        (r"I_{\max}", r"I_{\text{max}}"),
        (r"k_{\mathrm{B}}", "k_B"),
        (r"k_{\mathrm{B}}T_{\mathrm{s}}", "k_B T_s"),
        (r"R_{\odot}^2", r"R_\odot^{2}"),
        ("v^2_0", "v_0^2"),
        (r"\frac{v^2_0}{4g}", r"\frac{v_{0}^{2}}{4 g}"),
        (r"\omega_{L}^{\prime}", r"\omega_L'"),
        (r"\omega_L^\prime", r"\omega'_{L}"),
        (r"x_{1}", "x_1"),
        ("x₁", "x_1"),
        (r"\frac{1}{2}\hbar\omega", r"\frac{\hbar\omega}{2}"),
        (r"\ell + 1", r"1+\ell"),
        (r"\lambda x", "λx"),
        (
            r"\frac{\sqrt{2}v^2_0}{g}-\frac{v^2_0}{5\pi g}",
            r"\frac{v^2_0 \sqrt{2}}{g}-\frac{v^2_0}{5g\pi }",
        ),
        (
            r"n_{\gamma}(\nu)=A \frac{R_{\odot}^{2}}{d_{\odot}^{2}} \frac{2 \pi}{c^{2}} \nu^{2} e^{\frac{-h \nu}{ k_{\mathrm{B}} T_{\mathrm{s}}}}",
            r"n_{\gamma}(\nu) = \frac{2 \pi A R_{\odot}^2}{d_{\odot}^2} \left( \frac{\nu^2}{c^2} \right) e^{ \frac{-h \nu}{k_B T_s}}",
        ),
    ]);
    differ(&[
        ("x_1", "x_2"),
        ("x_1", "x"),
        ("x'", "x"),
        (r"\bar{x}", "x"),
        ("v_0^2", "v_0"),
    ]);
}

#[test]
fn a_function_without_a_rule_is_itself() {
    same(&[
        ("f(x)+1", "1+f(x)"),
        ("2f(3)", "f(3)+f(3)"),
        (r"f(\frac12)", "f(0.5)"),
        ("f(2) < f(1) < f(4)", "f(4) > f(1) > f(2)"),
    ]);
    differ(&[
        ("f(x)", "f(y)"),
        ("f(x+1)", "f(x)+f(1)"),
        ("f(2)", "2f"),
        ("f(2) < f(1) < f(4)", "f(1) < f(2) < f(4)"),
    ]);
}

#[test]
fn sums_over_whole_numbers_are_written_out_and_other_operators_are_names() {
    same(&[
        (r"\sum_{k=1}^{4} k", "10"),
        (r"\sum_{k=1}^{3} \frac{1}{k}", r"\frac{11}{6}"),
        (r"\sum_{k=0}^{2} x^k", "1+x+x^2"),
        (r"\prod_{k=1}^{4} k", "24"),
        (r"2\sum_{k=1}^{4} k", "20"),
        (r"\sum_{k=1}^{n} a_k + 1", r"1+\sum_{k=1}^{n} a_k"),
        (r"\int_0^1 f(x) dx", r"\int_{0}^{1} f(x)\,dx"),
    ]);
    differ(&[(r"\sum_{k=1}^{4} k", "11")]);
    check_all(
        &Policy::default(),
        Verdict::Unparsable,
        &[
            (r"\sum_{k=1}^{n} k", r"\frac{n(n+1)}{2}"),
            (
                r"F_n = \sum_{k=0}^{n-1} F_k F_{n-k-1}",
                r"F_n = \sum_{k=0}^{n-2} F_k F_{n-k-2}",
            ),
            (r"\int_0^1 x dx", "1/2"),
        ],
    );
}

#[test]
fn matrices_and_vectors() {
    same(&[
        (
            r"\begin{pmatrix}1 & 2 \\3 & 4\end{pmatrix}",
            r"\left[\begin{array}{cc}1 & 2 \\3 & 4\end{array}\right]",
        ),
        (
            r"\begin{pmatrix}1 & 2 \\3 & 4\end{pmatrix}",
            r"\begin{bmatrix}1&2\\3&4\\\end{bmatrix}",
        ),
        (
            r"\begin{pmatrix}6 & 8 \\ 10 & 12\end{pmatrix}",
            r"\begin{pmatrix}1 & 2 \\ 3 & 4\end{pmatrix} + \begin{pmatrix}5 & 6 \\ 7 & 8\end{pmatrix}",
        ),
        (
            r"\begin{pmatrix}-4&-4\\-4&-4\end{pmatrix}",
            r"\begin{pmatrix}1 & 2 \\ 3 & 4\end{pmatrix} - \begin{pmatrix}5 & 6 \\ 7 & 8\end{pmatrix}",
        ),
        (
            r"\begin{pmatrix}2 & 4 \\ 6 & 8\end{pmatrix}",
            r"2\begin{pmatrix}1 & 2 \\ 3 & 4\end{pmatrix}",
        ),
        (
            r"\begin{pmatrix}1/2\\1\end{pmatrix}",
            r"\frac{1}{2}\begin{pmatrix}1\\2\end{pmatrix}",
        ),
        (
            r"\begin{pmatrix}7&10\\15&22\end{pmatrix}",
            r"\begin{pmatrix}1 & 2 \\ 3 & 4\end{pmatrix}^2",
        ),
        (
            r"\begin{pmatrix}19&22\\43&50\end{pmatrix}",
            r"\begin{pmatrix}1 & 2 \\ 3 & 4\end{pmatrix}\begin{pmatrix}5 & 6 \\ 7 & 8\end{pmatrix}",
        ),
        (
            r"\begin{pmatrix}1&3\\2&4\end{pmatrix}",
            r"\begin{pmatrix}1 & 2 \\ 3 & 4\end{pmatrix}^T",
        ),
        ("-2", r"\begin{vmatrix}1&2\\3&4\end{vmatrix}"),
        ("-2", r"\det\begin{pmatrix}1&2\\3&4\end{pmatrix}"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", "(1,2)"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\langle 1, 2\rangle"),
        (
            r"\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}",
            r"\begin{pmatrix}1\\2\end{pmatrix}",
        ),
        ("(1,2)+3(4,5)", "(13,17)"),
    ]);
    differ(&[
        (
            r"\begin{pmatrix}1 & 2 \\ 3 & 4\end{pmatrix}",
            r"\begin{pmatrix}1 & 2 \\ 3 & 5\end{pmatrix}",
        ),
        (
            r"\begin{pmatrix}1 & 2\end{pmatrix}",
            r"\begin{pmatrix}1 \\ 2\end{pmatrix}",
        ),
        (
            r"\begin{pmatrix}1 & 2 \\ 3 & 4\end{pmatrix}",
            r"\begin{pmatrix}1 & 3 \\ 2 & 4\end{pmatrix}",
        ),
    ]);
}
