//! What looks alike and means something else: connectives, repeated members, moduli, words that are no units.

use super::*;

#[test]
fn and_joins_other_relations_than_or() {
    differ(&[
        (r"x<1\text{ or }x>2", r"x<1\text{ and }x>2"),
        (r"x=1\text{ or }y=2", r"x=1\text{ and }y=2"),
        (r"x=1\vee x=2", r"x=1\wedge x=2"),
        (r"p\land q", r"p\lor q"),
        ("a>0 or b>0", "a>0 and b>0"),
        (
            r"\{x\mid x<-1\text{ or }x>3\}",
            r"\{x\mid x<-6\text{ or }x>3\}",
        ),
        (r"\{x\mid x<-1\text{ or }x>3\}", r"\emptyset"),
    ]);
    same(&[
        (r"x<1\text{ or }x>2", r"(-\infty,1)\cup(2,\infty)"),
        (r"x<1\text{ or }x>2", "x>2, x<1"),
        (r"x>1\text{ and }x<2", "(1,2)"),
        (r"x=1\text{ and }y=2", "x=1, y=2"),
        (r"x=1\text{ and }y=2", r"y=2\text{ and }x=1"),
        (r"x=1\text{ or }x=2", r"x=1\text{ and }x=2"),
        (r"6\text{ and }8", r"8\text{ or }6"),
        (r"p\land q", r"q\land p"),
        (
            r"\{x\mid x<-1\text{ or }x>3\}",
            r"(-\infty,-1)\cup(3,\infty)",
        ),
    ]);
}

#[test]
fn a_repeated_member_needs_as_many_partners() {
    differ(&[
        ("1,1,2", "1,2,2"),
        ("1,1,1,5", "1,5,5,5"),
        ("(1,1),(1,1),(2,2)", "(1,1),(2,2),(2,2)"),
        ("1,1,2,3,4,5,6,7,8,9", "1,2,2,3,4,5,6,7,8,9"),
        ("x,x,2,3,4,5,6,7,8,9", "x,2,2,3,4,5,6,7,8,9"),
    ]);
    same(&[
        ("1,1,2", "1,2,1"),
        ("1,1,2", "2,1.0,1"),
        (r"\{1,1,2\}", r"\{1,2\}"),
        ("x+1,2,3,4,5,6,7,8,y", "y,1+x,2,3,4,5,6,7,8"),
    ]);
    // Each fits one of two, and only one way of giving them out fits all.
    let loose = Policy {
        relative_tolerance: 0.01,
        ..Policy::default()
    };
    check_all(&loose, Verdict::Pass, &[("100.5, 101.2", "100.9, 99.9")]);
}

#[test]
fn a_sign_of_likeness_is_itself() {
    differ(&[
        (r"a\sim b", r"a\cong b"),
        (r"a\sim b", "a=b"),
        (r"a\equiv b", "a=b"),
        (
            r"\triangle ABC\sim\triangle DEF",
            r"\triangle ABC\cong\triangle DEF",
        ),
    ]);
    same(&[
        (r"a\sim b", r"b\sim a"),
        (r"a\cong b", "a ≅ b"),
        (r"x\approx 5", "x=5"),
        (r"x\sim 5", "5"),
        (r"f(x)\equiv 0", "f(x)=0"),
    ]);
}

#[test]
fn a_modulus_belongs_to_the_value() {
    differ(&[
        (r"5\pmod 7", r"5\pmod{11}"),
        (r"x\equiv1\pmod3", r"x\equiv1\pmod4"),
        (r"x\equiv1\pmod 3", "x=1"),
        (r"x\equiv1\pmod 3", "1"),
        (r"x\equiv1\pmod 3", r"x\equiv2\pmod 3"),
        (r"12\bmod 5", "12"),
    ]);
    same(&[
        (r"7\pmod{10}", "7"),
        (r"7\pmod{10}", r"7 \mod 10"),
        (r"x\equiv1\pmod3", r"x\equiv4\pmod3"),
        (r"x\equiv1\pmod3", r"x\equiv 1 \bmod 3"),
        (r"12\bmod 5", "2"),
        (r"2^{10}\bmod 7", "2"),
        (r"-1\bmod 5", "-1"),
    ]);
}

#[test]
fn a_chain_is_what_all_its_links_say() {
    differ(&[("AB=5", "AB=CD=5"), ("a=b=5", "a=5"), ("x=y=0", "x=0")]);
    same(&[
        ("x=5+6=11", "x=11"),
        ("x=5+6=11", "11"),
        ("x=y=2", "y=x=2"),
        ("AB=CD=5", "CD=AB=5"),
        (r"A=\frac12 bh=12", "12"),
    ]);
}

#[test]
fn words_that_multiply_bound_judge_or_point_are_no_units() {
    differ(&[
        ("5 dozen", "5"),
        ("3 tenths", "3 hundredths"),
        (r"3\text{ tenths}", "3"),
        ("10 km east", "10 km west"),
        (r"10\text{ km north}", r"10\text{ km}"),
        (r"12 \text{ left}", r"12 \text{ right}"),
        (r"5\text{ units left}", r"5\text{ units right}"),
        (r"3\text{ boys}", r"3\text{ girls}"),
        (
            r"3\text{ boys and }2\text{ girls}",
            r"2\text{ boys and }3\text{ girls}",
        ),
        ("5 dogs", "5 cats"),
        (r"5\text{ wins}", r"5\text{ losses}"),
        (r"5\text{ gain}", r"5\text{ loss}"),
    ]);
    same(&[
        ("5 dozen", "60"),
        (r"3\text{ tenths}", "0.3"),
        (r"5 \text{ dozen eggs}", "60"),
        (r"3.2 \text{ million dollars}", r"\$3,200,000"),
        (r"12 \text{ left}", "12"),
        (r"3\text{ boys}", "3"),
        (r"5\text{ ways}", r"5\text{ different ways}"),
        (r"5\text{ red marbles}", r"5\text{ marbles}"),
        ("7 units", "7 marbles"),
    ]);
    for answer in [
        r"12 \text{ or more}",
        r"12 \text{ minimum}",
        r"12 \text{ less}",
        r"12 \text{ wrong}",
        r"12 \text{ (wrong)}",
        r"12 \text{ factorial}",
        "12 factorial",
        "12 squared",
    ] {
        let decision = equal::decide("12", answer, &Policy::default());
        assert_eq!(decision.verdict, Verdict::Unparsable, "{answer}");
    }
}

#[test]
fn infinity_in_a_calculation_has_no_value() {
    check_all(
        &Policy::default(),
        Verdict::Pass,
        &[(r"+\infty", r"\infty")],
    );
    differ(&[(r"\infty", r"-\infty"), (r"\infty", "0")]);
    for answer in [r"0\cdot\infty", r"\infty-\infty", r"\frac{\infty}{\infty}"] {
        let decision = equal::decide("0", answer, &Policy::default());
        assert_eq!(decision.verdict, Verdict::Unparsable, "{answer}");
    }
}

#[test]
fn two_marks_are_a_double_factorial() {
    same(&[
        ("5!!", "15"),
        ("6!!", "48"),
        ("(3!)!", "720"),
        ("(2n-1)!!", "(2n-1)!!"),
        ("3(2n-1)!!", "(2n-1)!!*3"),
    ]);
    differ(&[("(5!)!", "5!!"), ("(2n-1)!!", "(2n+1)!!")]);
}

#[test]
fn three_digits_behind_a_comma_are_thousands() {
    let comma = Policy {
        decimal_comma: true,
        ..Policy::default()
    };
    check_all(
        &comma,
        Verdict::Fail,
        &[("1,000", "1"), ("1,500", "1.5"), ("12,500", "12.5")],
    );
    check_all(
        &comma,
        Verdict::Pass,
        &[
            ("0,111", "0.111"),
            ("1,5", "1.5"),
            ("1,22", "1.22"),
            ("1,2345", "1.2345"),
            ("1,500", "1500"),
        ],
    );
}

#[test]
fn signs_of_one_tuple_go_together() {
    differ(&[(r"(\pm1,\mp2)", r"(\pm1,\pm2)"), (r"(\pm1,2)", "(1,2)")]);
    same(&[
        (r"(\pm1,\mp2)", "(1,-2),(-1,2)"),
        (r"(\pm1,\pm2)", "(1,2),(-1,-2)"),
        (r"(\pm1,\mp2)", r"(\mp1,\pm2)"),
        (r"(\pm1,2)", "(-1,2),(1,2)"),
    ]);
}

#[test]
fn dates_and_ranges_are_no_differences() {
    differ(&[
        ("2020-05-03", "2020-03-05"),
        ("2020-05-03", "2012"),
        ("555-1234", "554-1233"),
        ("10-12", "9-11"),
    ]);
    same(&[
        ("2020-05-03", "May 3, 2020"),
        ("10-12", "10 - 12"),
        ("3-5", "-2"),
        ("7-5", "6-4"),
    ]);
}

#[test]
fn points_in_a_row_have_an_order() {
    differ(&[
        (r"\overrightarrow{AB}", r"\overrightarrow{BA}"),
        (r"\vec{AB}", r"\vec{BA}"),
        (r"\widehat{AB}", r"\overline{AB}"),
        (r"\widehat{AB}", r"\vec{AB}"),
        (r"\angle ABC", r"\angle ACB"),
        ("WWL", "WLW"),
        ("HTH", "HHT"),
        ("EAT, TEA", "EAT, EAT"),
    ]);
    same(&[
        (r"\overrightarrow{AB}", r"\vec{AB}"),
        (r"\widehat{AB}", r"\widehat{BA}"),
        (r"\overline{AB}", "BA"),
        (r"\angle ABC", r"\angle CBA"),
        (r"\angle ABC = 60^\circ", r"60^\circ"),
        (r"\angle A B C = 60^\circ", r"\angle{ABC}=60^\circ"),
        ("XYZ", "X Y Z"),
        ("XYZ", r"Z\cdot X\cdot Y"),
        ("AB", "BA"),
        (r"\vec{a}", "a"),
    ]);
}

#[test]
fn steps_are_compared_where_they_step() {
    differ(&[
        (r"\lfloor x\rfloor+1", r"\lceil x\rceil"),
        (r"\lceil x\rceil-\lfloor x\rfloor", "1"),
        (r"\lfloor x\rfloor+\lfloor -x\rfloor", "-1"),
    ]);
    same(&[
        (r"\lfloor x+1\rfloor", r"\lfloor x\rfloor+1"),
        (r"\lceil x\rceil", r"-\lfloor -x\rfloor"),
    ]);
}

#[test]
fn what_is_nearly_a_number_is_not_that_number() {
    differ(&[
        (r"1-e^{-200}", "1"),
        (r"\tanh 100", "1"),
        (r"\arctan(10^{40})", r"\frac{\pi}{2}"),
    ]);
    same(&[
        (r"4\arctan\frac15-\arctan\frac1{239}", r"\frac{\pi}{4}"),
        (r"\tanh(\ln 2)", r"\frac35"),
        (r"\ln(2+\sqrt3)+\ln(2-\sqrt3)", "0"),
    ]);
}

#[test]
fn a_whole_part_is_no_fractional_part() {
    differ(&[("[x]", r"\{x\}"), ("[x+1]", r"\{x+1\}")]);
    same(&[
        ("[x]", "[x]"),
        ("[x+1](x-1)", "x^2-1"),
        ("[(x+1)(x-1)]", "x^2-1"),
        ("[5]", "5"),
    ]);
}

#[test]
fn a_relation_may_leave_out_what_it_is_said_of() {
    same(&[
        (">5", "x>5"),
        (r"\geq 5", r"[5,\infty)"),
        (r"\le 10", "≤10"),
        ("<3", r"(-\infty,3)"),
    ]);
    differ(&[(">5", "x<5"), (">5", r"\ge 5"), (">5", ">6")]);
}

#[test]
fn names_have_several_writings() {
    same(&[
        (r"\arctan x", r"\operatorname{arctg} x"),
        (r"\tan x", r"\operatorname{tg} x"),
        (r"\cot x", r"\operatorname{ctg} x"),
        (r"\csc x", r"\operatorname{cosec} x"),
        (r"\overline{z}", r"\bar{z}"),
        (r"\varepsilon_0", r"\epsilon_0"),
        (r"\varphi", r"\phi"),
        ("1e3", "1000"),
    ]);
    differ(&[(r"\operatorname{tg} x", r"\cot x"), ("1e3", "1e4")]);
}

#[test]
fn a_condition_may_stand_in_brackets() {
    same(&[
        (
            r"x=\frac{\pi}{4}+k\pi(k\in\mathbb{Z})",
            r"x=\frac{\pi}{4}+k\pi, k\in\mathbb{Z}",
        ),
        (
            r"\frac{x^2}{4}+y^2=1(y\ne0)",
            r"\frac{x^2}{4}+y^2=1 (y \neq 0)",
        ),
        ("y=x^2 (x>0)", "y=x^2, x>0"),
        (r"n=2k, k\in\mathbb{Z}^+", r"n=2k, k\in\mathbb{Z}^{+}"),
    ]);
    differ(&[
        ("y=x^2 (x>0)", "y=x^2 (x<0)"),
        ("y=x^2 (x>0)", "y=x^2"),
        (r"n=2k, k\in\mathbb{Z}^+", r"n=2k, k\in\mathbb{Z}"),
    ]);
}

#[test]
fn colours_sizes_and_tags_are_looks() {
    same(&[
        (r"\textcolor{red}{5}", "5"),
        (r"\color{red}{5}", "5"),
        (r"\large 5", "5"),
        (r"x=5\tag{1}", "x=5"),
    ]);
    differ(&[(r"\textcolor{red}{5}", "6")]);
}
