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
