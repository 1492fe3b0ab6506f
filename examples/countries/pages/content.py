"""What `manage.py demo` fills the sites with, by the slug of the site. The news are made up."""

from datetime import date

NEWS = {
    "de": [
        {
            "title": "Der Nachtzug kehrt zurück",
            "summary": "In München einsteigen, in Kopenhagen frühstücken: Vier neue Linien "
            "verbinden ab Dezember den Süden mit dem Meer.",
            "body": "Die Betten sind gemacht, das Licht ist gedimmt. Kurz nach neun rollt der erste "
            "Zug aus dem Münchner Hauptbahnhof, und als der Schaffner den Kaffee bringt, liegt "
            "draußen schon die Ostsee.\n\nVier Linien fahren ab Dezember täglich. Die Wagen sind "
            "neu, die Idee ist es nicht: Noch vor dreißig Jahren fuhren mehr als hundert Nachtzüge "
            "durch das Land. „Wer schläft, reist am schnellsten“, sagt die Zugchefin.",
            "published": date(2026, 11, 18),
        },
        {
            "title": "Hundert Jahre Bauhaus in Dessau",
            "summary": "Glas, Stahl und ein wenig Rot: Das Haus, das die Moderne bewohnbar machte, "
            "öffnet seine Werkstätten.",
            "body": "Wo früher gewebt, gedruckt und geschreinert wurde, wird es wieder: Zum "
            "Geburtstag des Gebäudes stehen alle Werkstätten offen, von morgens bis Mitternacht.\n\n"
            "Am beliebtesten ist die Weberei. Wer sich ans Werk setzt, darf das Ergebnis behalten "
            "und lernt nebenbei, warum eine Linie nie nur eine Linie ist.",
            "published": date(2026, 11, 12),
        },
        {
            "title": "3.200 Sorten Brot, und eine neue",
            "summary": "Eine Bäckerin aus Görlitz nimmt Buchweizen, Honig und sehr viel Zeit. Das "
            "Register wächst.",
            "body": "Drei Tage ruht der Teig, bevor er in den Ofen darf. So lange hat auch die "
            "Prüfung gedauert: Kruste, Krume, Duft, alles wird benotet.\n\nJetzt steht das Görlitzer "
            "Buchweizenbrot im Register, als Nummer 3.201. Den Rest des Laibs hat die Jury gegessen.",
            "published": date(2026, 11, 4),
        },
    ],
    "gh": [
        {
            "title": "Bonwire teaches the world to weave",
            "summary": "Four hundred years of kente, forty looms and a waiting list: the weavers' "
            "village opens a school.",
            "body": "Every pattern has a name, and every name is a proverb. On the first morning "
            "the students learn to sit; on the second, to listen to the loom.\n\nThe new school has "
            "room for forty. Its first class comes from eleven countries and from the next street, "
            "and all of them start with the same narrow strip.",
            "published": date(2026, 11, 17),
        },
        {
            "title": "Accra hoots at hunger",
            "summary": "Drums in Jamestown, palm soup on every stove: Homowo fills the streets of "
            "the capital.",
            "body": "For weeks no drum was heard, as custom wants it. Then the ban is lifted, and "
            "the whole of Jamestown makes up for it in one afternoon.\n\nHomowo means to hoot at "
            "hunger. Kpokpoi, made of maize and palm oil, is sprinkled on the ground for those who "
            "came before, and served to everybody who comes by.",
            "published": date(2026, 11, 9),
        },
        {
            "title": "From the bean to the bar, at home",
            "summary": "More of the cocoa stays: three new chocolate makers in Kumasi sell what "
            "they roast.",
            "body": "The best beans used to leave the country as beans. In a courtyard in Kumasi "
            "they now leave as chocolate, dark, with ginger or with grains of paradise.\n\n“My "
            "grandmother farmed cocoa all her life and had her first bar at sixty,” says one of the "
            "makers. Her bar is called Grandmother.",
            "published": date(2026, 11, 2),
        },
    ],
    "us": [
        {
            "title": "The darkest night in America",
            "summary": "Big Bend turned off its last street lamp. What came on was the Milky Way, "
            "bright enough to read by.",
            "body": "At the trailhead the ranger collects the flashlights. It takes the eye half an "
            "hour to adjust, and after that nobody talks for a while.\n\nThe park now belongs to "
            "the largest dark-sky reserve on Earth. Ranches, towns and an observatory agreed on one "
            "thing: lights that point down.",
            "published": date(2026, 11, 19),
        },
        {
            "title": "A trumpet on every streetcar",
            "summary": "New Orleans pays young musicians to ride the St. Charles line, and "
            "commuters to miss their stop.",
            "body": "The rules are simple: no amplifier, no hat, and the last tune must be a happy "
            "one. Sixty musicians share the shifts.\n\nRidership is up by a fifth. So are the "
            "complaints, says the city, most of them about streetcars that came without a band.",
            "published": date(2026, 11, 11),
        },
        {
            "title": "The bison are back on the prairie",
            "summary": "A herd of two hundred crosses Montana to the land their grandparents left.",
            "body": "The gate opened at dawn. For a minute nothing moved; then the oldest cow put "
            "her head down and walked, and the others followed.\n\nThe herd is cared for by the "
            "tribes of Fort Belknap. Where bison graze, birds return first, they say, and then "
            "the children.",
            "published": date(2026, 11, 3),
        },
    ],
    "br": [
        {
            "title": "Ondas de pedra, consertadas à mão",
            "summary": "Quatro quilômetros de calçadão em Copacabana voltam a brilhar, pedra por "
            "pedra.",
            "body": "Os calceteiros trabalham de joelhos, com um martelo e um molde de madeira. "
            "Cada onda leva duas mil pedras.\n\nO desenho tem mais de cem anos e veio de Lisboa; "
            "a curva larga, dizem aqui, é carioca.",
            "published": date(2026, 11, 16),
        },
        {
            "title": "Choro às seis da manhã",
            "summary": "Em Belo Horizonte, a roda começa antes do sol e termina com pão de queijo.",
            "body": "Cavaquinho, flauta, pandeiro: quem chega senta. A partitura fica em casa.\n\n"
            "Às oito todo mundo vai trabalhar, um pouco mais leve do que ontem.",
            "published": date(2026, 11, 8),
        },
        {
            "title": "Um milhão de ipês",
            "summary": "O Cerrado ganha de volta as suas árvores amarelas.",
            "body": "As mudas cabem na palma da mão. Em dez anos terão a altura de uma casa.\n\n"
            "Escolas de quatro estados plantaram juntas. Cada árvore tem o nome de uma criança.",
            "published": date(2026, 11, 1),
        },
    ],
}
