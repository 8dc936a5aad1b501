//! Where the layouts of data sets meet grading: how unit tests of published data sets become the `tests` column.

use dag_data::layout::{CodeTests, NotedTests, ShownTests};
use dag_data::rows::SourceRow;
use dag_grade::code::{Tests, assertion_tests, input_output_tests, live_code_bench_tests};
use serde_json::Value;

/// All that grading can read.
pub(crate) const CODE_TESTS: CodeTests = CodeTests {
    contest,
    live_code_bench,
    assertions,
};

fn contest(field: &Value) -> Result<String, String> {
    input_output_tests(field).map(|tests| tests.to_json())
}

fn live_code_bench(row: &SourceRow) -> NotedTests {
    const UNREAD: &str = "the private tests cannot be read: only the public tests are used";
    let (tests, unread) = live_code_bench_tests(row)?;
    Ok((tests.to_json(), unread.map(|_| UNREAD)))
}

/// The prompt shows the assertions without what sets them up.
fn assertions(list: &Value, setup: &str) -> ShownTests {
    let tests = assertion_tests(list, setup)?;
    let Tests::Assert { code: shown, .. } = assertion_tests(list, "")? else {
        return Err("the tests are no assertions".to_owned());
    };
    Ok((tests.to_json(), shown))
}

#[cfg(test)]
mod tests {
    use dag_data::Problem;
    use dag_data::layout::{Layout, LayoutSettings, Mapped, problem_of};
    use serde_json::json;

    use super::*;

    fn map(layout: Layout, row: Value) -> Result<Mapped, String> {
        let settings = LayoutSettings {
            layout: Some(layout),
            ..LayoutSettings::default()
        };
        problem_of(row.as_object().unwrap(), &settings, "here", &CODE_TESTS)
    }

    fn tests_of(problem: &Problem) -> Value {
        serde_json::from_str(problem.tests.as_deref().unwrap()).unwrap()
    }

    /// python3: `base64.b64encode(zlib.compress(pickle.dumps(json.dumps(cases))))`, with one case: [4] gives 8.
    const PACKED: &str = "eJxrYJlqzwABPdbR1UqZeQWlJUpWCkrRJrFKOgpK+aUlUAELELcktbikpLIgFSSQVpqXXJKZn5eYo1QbO0UPANJeFYo=";

    #[test]
    fn packed_private_tests_are_read_and_unreadable_ones_are_said() {
        let public = json!([{ "input": "1", "output": "2", "testtype": "functional" }]).to_string();
        let row = |private: &str| json!({ "question_content": "q", "public_test_cases": public, "private_test_cases": private, "difficulty": "hard", "metadata": "{\"func_name\": \"f\"}" });
        let mapped = map(Layout::Livecodebench, row(PACKED)).unwrap();
        let both = json!({
            "kind": "call", "fn_name": "f", "language": "python",
            "cases": [{ "args": [1], "expected": 2 }, { "args": [[4]], "expected": 8 }],
        });
        assert_eq!((mapped.note, tests_of(&mapped.problem)), (None, both));
        let mapped = map(Layout::Livecodebench, row("eJxrYJ0=")).unwrap();
        assert!(mapped.note.unwrap().contains("only the public tests"));
        let tests = tests_of(&mapped.problem);
        assert_eq!(tests["cases"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn what_a_layout_gives_can_be_graded() {
        let check = |layout, row: Value| {
            let problem = map(layout, row).unwrap().problem;
            let text = problem.tests.as_deref().unwrap();
            assert_eq!(Tests::parse(text).unwrap().to_json(), text);
        };
        let io = json!({ "inputs": ["1\n", ["2", "3"]], "outputs": ["1\n", 4] });
        check(
            Layout::Apps,
            json!({ "question": "q", "input_output": io.to_string() }),
        );
        let io = json!({ "fn_name": "f", "inputs": [[1, 2]], "outputs": [[3]] });
        check(Layout::Taco, json!({ "question": "q", "input_output": io }));
        check(
            Layout::Mbpp,
            json!({ "text": "t", "test_list": ["assert f(1) == 2"], "test_setup_code": "x = 1" }),
        );
    }
}
