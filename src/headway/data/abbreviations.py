"""Words that are written with a full stop which ends no sentence, by language. Only such as hardly ever end one."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


COMMON = _words("mr mrs ms dr prof st jr sr vs cf ca dipl ing")

# Before a number alone: else they are words, or end sentences.
BEFORE_NUMBERS = _words(
    "no nos nr n° num núm n p pp pg s fig figs vol vols ch chap sec sect eq eqs art arts par abs bd kap aufl ziff tab abb ref"
    " v vv str стр гл рис табл č čís str. lk sz tel"
)

# Languages that write "3." for the third.
WITH_ORDINALS = _words("de da nb nn no fi cs sk hu pl hr sr bs sl et lv is fo eu lb dsb hsb")

ABBREVIATIONS: dict[str, frozenset[str]] = {
    "en": _words(
        "messrs mme hon rev gen col lt capt cpl sgt maj cmdr adm sen rep gov pres supt insp det ph esq mt ft"
        " approx dept univ assn bros e.g i.e viz al"
        " jan feb apr aug sept oct nov"
    ),
    "de": _words(
        "hr fr frl hrn dipl.-ing mag hl bzw usw vgl bspw sog ggf evtl inkl exkl zzgl ggü gem geb gest verh hrsg jh jhdt mio mrd"
        " ev rd zb dh str allg insb insbes urspr v u z d i o ä b a"
        " jan feb febr apr aug sept okt nov dez"
    ),
    "fr": _words("m mm mme mmes mlle mlles mgr me pr ste av bd env ex p.ex éd janv févr avr juil sept oct nov déc c.-à-d"),
    "es": _words("sr sra sras sres srta d dña ud uds vd vds lic arq gral av avda pág págs ej aprox dpto ee tel"),
    "it": _words("sig sigg sig.ra sig.na dott dott.ssa avv arch geom on mons rag ecc pag pagg es egr gent spett"),
    "pt": _words("sr sra srs sras srta dra profa exmo exma av pág págs ex aprox tel gen cel eng"),
    "nl": _words("dhr mevr mw drs ir mr bijv bv enz o.a d.w.z m.b.t z.o.z blz nl resp incl excl ca"),
    "pl": _words("np tzn tzw itp itd mgr inż ks św ul al pl woj gen płk hab r w"),
    "cs": _words("např tzv tj mj mgr ing mudr judr phdr rndr sv ul nám tř"),
    "sk": _words("napr tzv tj mgr ing mudr judr phdr sv ul nám"),
    "ru": _words("г гг им ул пр т тт е д др проф акад см напр руб коп тыс млн млрд"),
    "uk": _words("м вул проф акад див напр грн тис млн млрд"),
    "sv": _words("t.ex bl.a dvs osv d.v.s kl resp inkl exkl st ca"),
    "da": _words("f.eks bl.a dvs osv kl hr fru inkl ekskl ca"),
    "nb": _words("f.eks bl.a dvs osv kl hr fru inkl ekskl ca"),
    "no": _words("f.eks bl.a dvs osv kl hr fru inkl ekskl ca"),
    "fi": _words("esim mm ym yms ks klo n ns nro"),
    "hu": _words("pl stb ún dr ifj id özv kb vö"),
    "ro": _words("dl dna dra dvs ex nr str bd etc"),
    "tr": _words("dr doç prof av sn örn vb vs yrd alb"),
    "el": _words("κ κα κκ δηλ π.χ κλπ χλμ"),
    "hr": _words("npr tj tzv dr mr sv itd"),
    "sl": _words("npr oz itd tj ga g dr"),
}
