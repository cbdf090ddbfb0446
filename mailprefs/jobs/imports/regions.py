"""Countries as people write them in a file, as ISO 3166-1 alpha-2 codes.

English names come from the time zone database; names in the country's own and in neighbouring
languages, older names and three-letter codes of the countries that lists are full of stand here.
"""

import unicodedata
from functools import cache
from importlib.resources import files

_ALSO = """
AE uae are emirates vae
AR argentina arg argentinien argentine
AT aut austria osterreich oesterreich autriche oostenrijk rakousko ausztria avstrija rakusko
AU aus australien australie
BE bel belgien belgique belgie belgio belgica
BG bgr bulgarien bulgarie българия bulgarije
BR bra brasil brasilien bresil brasile
CA can kanada
CH che suisse schweiz switzerland svizzera svizra zwitserland suiza sveits
CL chl chili
CN chn china chine prchina peoplesrepublicofchina 中国
CO col kolumbien colombie
CY cyp zypern chypre κυπρος
CZ cze czechia czechrepublic tschechien tschechischerepublik ceskarepublika cesko tchequie tsjechie
DE deu ger germany deutschland allemagne alemania germania duitsland niemcy nemecko tyskland brd
DK dnk denmark danemark danmark danimarca dinamarca denemarken dania
EE est estonia estland eesti estonie
ES esp spain spanien espana espagne spagna spanje hiszpania espanha
FI fin finland finnland finlande suomi finlandia
FR fra france frankreich francia frankrijk francja frankrike frança
GB gbr uk unitedkingdom greatbritain britain england scotland wales northernireland grossbritannien
GB vereinigteskonigreich grandebretagne royaumeuni reinounido regnounito verenigdkoninkrijk
GR grc el greece griechenland grece grecia griekenland ελλαδα hellas
HK hkg hongkong
HR hrv croatia kroatien croatie hrvatska kroatie
HU hun hungary ungarn hongrie magyarorszag ungheria hongarije
IE irl ireland irland irlande eire irlanda ierland republicofireland
IL isr israel
IN ind india indien inde
IS isl iceland island islande
IT ita italy italien italie italia wlochy
JP jpn japan japon giappone 日本
KR kor southkorea korea republicofkorea sudkorea coreedusud 대한민국
LI lie liechtenstein
LT ltu lithuania litauen lituanie lietuva
LU lux luxembourg luxemburg letzebuerg
LV lva latvia lettland lettonie latvija
MT mlt malta malte
MX mex mexico mexiko mexique
NL nld netherlands thenetherlands holland niederlande nederland paysbas paisesbajos paesibassi
NO nor norway norwegen norvege norge noorwegen noruega norvegia
NZ nzl neuseeland nouvellezelande
PL pol poland polen pologne polska polonia
PT prt portugal portogallo
RO rou romania rumanien roumanie rumunia
RS srb serbien serbie srbija србија
RU rus russia russland russie russianfederation россия rusia
SE swe sweden schweden suede sverige svezia suecia zweden szwecja
SG sgp singapur
SI svn slovenia slowenien slovenie slovenija
SK svk slovakia slowakei slovaquie slovensko
TR tur turkey turkei turquie turkiye turchia turkije turkiya
TW twn
UA ukr ukraine україна ucrania
US usa unitedstates unitedstatesofamerica america vereinigtestaaten etatsunis
US estadosunidos statiuniti stanyzjednoczone
ZA zaf sudafrika afriquedusud
"""


def folded(text: str) -> str:
    """Give *text* in lower case without accents, blanks and signs, to compare names by."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in plain if letter.isalnum())


def region_code(text: str) -> str | None:
    """Give the ISO 3166-1 alpha-2 code of a country's code or name; None for an unknown one."""
    return _codes().get(folded(text))


@cache
def _codes() -> dict[str, str]:
    """Give every known spelling, folded, with its code."""
    known: dict[str, str] = {}
    table = (files("tzdata") / "zoneinfo" / "iso3166.tab").read_text(encoding="utf-8")
    for line in table.splitlines():
        if not line.startswith("#"):
            code, name = line.split("\t")
            known |= {code.lower(): code, folded(name): code}
    for line in _ALSO.split("\n"):
        code, *names = line.split() or [""]
        known |= {folded(name): code for name in names}
    return known
