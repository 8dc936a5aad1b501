//! Units, money, percentages.

use super::*;

#[test]
fn a_unit_may_be_left_out_but_not_be_another_one() {
    same(&[
        ("5 cm", "5"),
        ("5", r"5\text{ cm}"),
        ("5 cm", r"5\,\mathrm{cm}"),
        ("5 cm", "5 centimeters"),
        (r"15\mbox{ cm}^2", "15"),
        (r"15\mbox{ cm}^2", r"15\text{ cm}^2"),
        (r"15\mbox{ cm}^2", "15 cm^2"),
        (r"15\mbox{ cm}^2", "15 square centimeters"),
        (r"864 \mbox{ inches}^2", "864 square inches"),
        (r"16\text{ square units}", "16"),
        (r"\frac{1}{3}\textbf{ meters}", "1/3"),
        (r"0.06\text{ yuan}", "0.06"),
        (r"5.4 \text{ cents}", "5.4"),
        ("3", "3 hours ago"),
        ("12 apples", "12"),
        ("9", r"9 \pmod{11}"),
        (r"3 \text{ m/s}", r"3\ \mathrm{m}/\mathrm{s}"),
        (r"3 \text{ m/s}", r"3 \mathrm{~m} \cdot \mathrm{s}^{-1}"),
        (r"3 \text{ m/s}", "3 meters per second"),
        (r"10\text{ km/h}", "10 kilometers per hour"),
        ("5 km", "5000 m"),
        ("5 km", r"5000\text{ m}"),
        ("1 hour", "60 minutes"),
        ("2 hours 30 minutes", "150 minutes"),
        ("2.5 hours", "2 hours 30 minutes"),
        (r"1\text{ N}", r"1\text{ kg}\cdot\text{m/s}^2"),
        ("90^\\circ", "90"),
        ("90^\\circ", "90 degrees"),
        ("90^{\\circ}", "90°"),
        (r"\frac{270}7\text{ degrees}", r"\frac{270}{7}^\circ"),
        (r"5^{\text{th}}", "5"),
        ("5th", "5"),
        ("20°C", r"20^\circ\text{C}"),
        ("5 min", "5"),
        ("2 ft", "24 in"),
    ]);
    differ(&[
        (r"5\text{ cm}", r"5\text{ m}"),
        ("5 cm", r"5\text{ m}^2"),
        ("5 cm", "6 cm"),
        ("5 cm", "6"),
        ("1 hour", "30 minutes"),
        (r"5\text{ mW}", r"5\text{ MW}"),
        ("12 apples", "13 apples"),
        ("20°C", "20°F"),
        ("5 kg", "5 cm"),
    ]);
}

#[test]
fn units_of_physics() {
    same(&[
        (r"9.8 \text{ m/s}^2", r"9.8\ \mathrm{m/s^2}"),
        (r"9.8 \text{ m/s}^2", r"9.8 \mathrm{~m} / \mathrm{s}^{2}"),
        (r"3.0 \times 10^8 \text{ m/s}", r"300000000 \mathrm{~m/s}"),
        (r"5 \times 10^{-3}\ \mathrm{kg}", r"5 \text{ g}"),
        (r"1.5\ \mathrm{kW}", r"1500\ \mathrm{W}"),
        (r"2\ \Omega", r"2\,\Omega"),
        (r"36\text{ km/h}", r"10\text{ m/s}"),
        (r"1\text{ J}", r"1\text{ N}\cdot\text{m}"),
        (r"10\text{ mph}", "10"),
        ("5 m²", "5"),
        ("1,000.99m²", "1000.99"),
        (r"100\text{ cm}^3", r"0.1\text{ L}"),
        (r"7\text{ days}", r"1\text{ week}"),
        (r"1\text{ year}", "12 months"),
        (r"\frac{1}{2}\text{ hour}", "30 minutes"),
        (r"\sqrt{2}\text{ cm}", r"\sqrt{2}"),
        (r"x\text{ cm}", "x"),
        (r"2\pi\text{ rad}", r"2\pi"),
        (r"12\text{ units}^2", "12"),
        (r"(3\text{ cm}, 4\text{ cm})", "(3,4)"),
        (r"3\text{ cm}, 4\text{ cm}", "3, 4"),
    ]);
    differ(&[
        (r"9.8 \text{ m/s}^2", r"9.8\text{ m/s}"),
        (r"36\text{ km/h}", r"36\text{ m/s}"),
        (r"100\text{ cm}^3", r"100\text{ cm}^2"),
        ("5m", "6m"),
        ("2mg", "2"),
        ("5m", "5"),
    ]);
}

#[test]
fn an_angle_in_degrees_is_one_in_radians() {
    same(&[
        (r"90^\circ", r"\frac{\pi}{2}"),
        (r"180^\circ", r"\pi\text{ rad}"),
        (r"60\text{ degrees}", r"\frac{\pi}{3}\text{ radians}"),
    ]);
    differ(&[
        (r"90^\circ", r"\frac{\pi}{3}"),
        (r"90^\circ", r"90\text{ rad}"),
    ]);
}

#[test]
fn money() {
    same(&[
        (r"\$32,348", "32348"),
        (r"\$18.90", "18.9"),
        (r"\$18.90", "18.90 dollars"),
        (r"\$36", "36"),
        (r"\$0.50", "50 cents"),
        (r"16386.20", r"\$16,386.20"),
        ("€5", "5 euros"),
        ("£5", "5"),
    ]);
    differ(&[(r"\$18.90", r"\$18.91"), ("€5", r"\$5")]);
}

#[test]
fn percentages() {
    same(&[
        ("50%", "1/2"),
        ("50%", "50"),
        (r"28\%", "28 percent"),
        (r"28\%", "28 pct"),
        (r"28\%", "28 %"),
        (r"28\%", "0.28"),
        (r"28\%", "x = 28\\%"),
        (r"20\%", r"\frac{1}{5}"),
        (r"33\frac{1}{3}\%", r"\frac13"),
        ("60%", "0.6"),
    ]);
    differ(&[
        ("50", "0.5"),
        ("50%", "0.05"),
        ("50%", "60%"),
        ("75", "0.75"),
    ]);
}
