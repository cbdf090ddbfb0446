import pytest

from mailprefs.errors import NotFound
from mailprefs.rendering import layouts


@pytest.mark.parametrize("name", layouts.names())
def test_every_template_has_a_subject_a_text_and_an_mjml_body(name: str) -> None:
    template = layouts.load(name)
    assert template.subject and template.text.strip() and template.mjml.strip()
    assert "\n" not in template.subject


def test_layouts_have_a_place_for_the_message_and_a_footer_to_lend() -> None:
    for name in layouts.LAYOUTS.values():
        template = layouts.load(name)
        assert template.is_layout
        assert template.subject == "{{ subject }}"
        assert "{{ body }}" in template.mjml and "{{ body }}" in template.text
        assert template.footer.count("<mj-section") == template.footer.count("</mj-section>") == 1


def test_the_promotional_layout_offers_to_unsubscribe_in_both_parts() -> None:
    template = layouts.load("newsletter")
    assert "{{ unsubscribe_url }}" in template.footer and "{{ unsubscribe_url }}" in template.text
    notice = layouts.load("notice")
    assert "unsubscribe" not in notice.mjml + notice.text


@pytest.mark.parametrize("name", layouts.names())
def test_no_template_loads_anything(name: str) -> None:
    template = layouts.load(name)
    assert "http://" not in template.mjml and "https://" not in template.mjml
    assert "url(" not in template.mjml and "<mj-font" not in template.mjml


@pytest.mark.parametrize("name", ["no_such_mail", "../email/notice", "."])
def test_an_unknown_template_is_not_found(name: str) -> None:
    with pytest.raises(NotFound, match="There is no mail template"):
        layouts.load(name)
