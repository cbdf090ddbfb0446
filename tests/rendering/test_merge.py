import pytest

from mailprefs.errors import BadTemplate
from mailprefs.rendering.merge import Kind, Question, Reading, Vocabulary

WORDS = Vocabulary(
    constants={"sender_name": "Fernweh", "topic_name": "News"},
    links=("preferences_url", "unsubscribe_url"),
    refused={"pixel": "it is placed by mailprefs."},
    attributes=("plan", "city"),
)
ANY = Vocabulary(constants={}, links=(), refused={})


def refusal(source: str, vocabulary: Vocabulary = WORDS) -> str:
    with pytest.raises(BadTemplate) as caught:
        Reading().read(source, "the body", vocabulary)
    return str(caught.value)


def test_a_field_becomes_one_private_character_and_is_known_by_it() -> None:
    reading = Reading()
    marked = reading.read('Hi {{ first_name | "there" }}!', "the body", WORDS)
    assert marked[:3] == "Hi " and marked[-1] == "!" and len(marked) == 5
    tag = reading.tag(marked[3])
    assert (tag.kind, tag.name, tag.fallback) == (Kind.FIELD, "first_name", "there")


@pytest.mark.parametrize("quotes", ['"there"', "'there'", "“there”", "„there“"])
def test_a_fallback_may_stand_in_whatever_quotes_an_editor_makes(quotes: str) -> None:
    reading = Reading()
    reading.read(f"{{{{ first_name|{quotes} }}}}", "the body", WORDS)
    assert reading.tags[0].fallback == "there"


def test_the_same_field_with_another_fallback_is_another_mark() -> None:
    reading = Reading()
    marked = reading.read('{{ city | "a" }}{{ city | "b" }}{{ city | "a" }}', "the body", WORDS)
    assert marked[0] == marked[2] != marked[1]


def test_fields_without_fallback_are_required_unless_their_own_block_asks_for_them() -> None:
    reading = Reading()
    reading.read(
        "{% if plan %}{{ plan }}{% else %}{{ city }}{% endif %}"
        "{% if not city %}x{% else %}{{ city }}{% endif %}"
        '{% if plan == "pro" %}{{ plan }}{{ first_name }}{% endif %}',
        "the body",
        WORDS,
    )
    assert reading.required == ["city", "first_name"]
    reading.read("{% if plan %}x{% else %}{{ plan }}{% endif %}", "the body", WORDS)
    assert reading.required == ["city", "first_name", "plan"]


@pytest.mark.parametrize(
    ("statement", "test", "value"),
    [
        ("if plan", Question.SET, ""),
        ("if not plan", Question.UNSET, ""),
        ('if plan == "pro"', Question.IS, "pro"),
        ("if plan!='pro'", Question.IS_NOT, "pro"),
    ],
)
def test_a_block_asks_whether_a_field_is_there_or_what_it_is(
    statement: str, test: Question, value: str
) -> None:
    reading = Reading()
    marked = reading.read(f"{{% {statement} %}}x{{% endif %}}", "the body", WORDS)
    block = reading.blocks[0]
    assert (block.name, block.test, block.value) == ("plan", test, value)
    assert marked == f"{block.opening}x{block.closing}"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("a\nb {{ plan", "Line 2 of the body: {{ plan is not closed"),
        ("{{ plan\n}}", "Line 1 of the body: {{ plan is not closed"),
        ("{% if plan\n%}", "{% if plan is not closed"),
        ("{{ plan | upper }}", "unknown filter"),
        ("{{ Plan }}", "is no field"),
        ("{{ }}", "the tag is empty"),
        ('{{ plan | "" }}', "an empty fallback leaves a gap"),
        ('{{ plan | "' + "x" * 41 + '" }}', "41 characters"),
        ("{{ plam }}", "did you mean plan?"),
        ("{{ shoe_size }}", "nobody has a field shoe_size"),
        ("{{ nickname }}", "nickname; import it first, or take the tag out. There are: first_name"),
        ("{{ shoe_size }}", "There are: first_name, last_name, email, city, plan."),
        ("{{ if }}", "a word of the merge language"),
        ("{{ pixel }}", "it is placed by mailprefs"),
        ('{{ sender_name | "x" }}', "never empty"),
        ("\n\n{% if plan %}x", "Line 3 of the body: {% if plan %} is never closed"),
        ("{% endif %}", "without {% if"),
        ("{% else %}", "without {% if"),
        ("{% if plan %}a{% else %}b{% else %}c{% endif %}", "second {% else %}"),
        ("{% if plan %}{% if city %}x{% endif %}{% endif %}", "is not supported"),
        ("{% elif plan %}", "second {% if %} block"),
        ("{% for x in y %}", "is not supported"),
        ('{% if not plan == "x" %}a{% endif %}', "instead of not"),
        ("{% if preferences_url %}a{% endif %}", "never empty"),
        ("{% if plan %}{{ unsubscribe_url }}{% endif %}", "for everybody"),
        ("x\ue100", "private-use character"),
    ],
)
def test_what_is_not_in_the_language_is_refused_with_its_line_and_what_to_do(
    source: str, words: str
) -> None:
    assert words in refusal(source)


def test_an_administrative_message_refuses_fields_and_blocks_of_promotion() -> None:
    administrative = Vocabulary({}, (), {}, None, administrative=True)
    for source in ("{{ coupon }}", "{% promotion %}", "{% if promo_code %}x{% endif %}"):
        assert "an administrative message never carries" in refusal(source, administrative)
        if "promotion" not in source:
            Reading().read(source, "the body", ANY)


def test_many_fields_are_read_but_not_without_end() -> None:
    source = "".join(f"{{{{ f{number} }}}}" for number in range(2049))
    assert "too many different fields" in refusal(source, ANY)
    blocks = "{% if plan %}x{% endif %}" * 1400
    assert "too many conditional blocks" in refusal(blocks)
