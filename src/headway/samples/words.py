"""The rows of the lexicon. A new word is a new row; `tests/samples/test_lexicon.py` proves each row whole."""

# english | plural | german | german plural | chinese | measure word | tags, which verbs and adjectives ask for
# (weak: n-declension; unique: there is one; free: not "my", for "meine Frau" is a wife; mass: no plural)
NOUNS = """
man         | men          | der Mann        | Männer         | 男人     | 個 | person adult free
woman       | women        | die Frau        | Frauen         | 女人     | 個 | person adult pretty motif free
boy         | boys         | der Junge       | Jungen         | 男孩     | 個 | person child weak
girl        | girls        | das Mädchen     | Mädchen        | 女孩     | 個 | person child free
child       | children     | das Kind        | Kinder         | 孩子     | 個 | person child free
teacher     | teachers     | der Lehrer      | Lehrer         | 老師     | 位 | person adult
doctor      | doctors      | der Arzt        | Ärzte          | 醫生     | 位 | person adult
student     | students     | der Student     | Studenten      | 學生     | 個 | person adult weak
neighbour   | neighbours   | der Nachbar     | Nachbarn       | 鄰居     | 個 | person adult weak
farmer      | farmers      | der Bauer       | Bauern         | 農夫     | 個 | person adult weak
guest       | guests       | der Gast        | Gäste          | 客人     | 位 | person adult
aunt        | aunts        | die Tante       | Tanten         | 阿姨     | 位 | person adult
policewoman | policewomen  | die Polizistin  | Polizistinnen  | 女警察   | 位 | person adult
waitress    | waitresses   | die Kellnerin   | Kellnerinnen   | 女服務生 | 位 | person adult
king        | kings        | der König       | Könige         | 國王     | 位 | person adult unique
queen       | queens       | die Königin     | Königinnen     | 女王     | 位 | person adult unique
dog         | dogs         | der Hund        | Hunde          | 狗       | 隻 | animal big pet washable
cat         | cats         | die Katze       | Katzen         | 貓       | 隻 | animal big pet
horse       | horses       | das Pferd       | Pferde         | 馬       | 匹 | animal big washable
cow         | cows         | die Kuh         | Kühe           | 牛       | 頭 | animal big
duck        | ducks        | die Ente        | Enten          | 鴨子     | 隻 | animal big
bird        | birds        | der Vogel       | Vögel          | 鳥       | 隻 | animal big
mouse       | mice         | die Maus        | Mäuse          | 老鼠     | 隻 | animal big
bear        | bears        | der Bär         | Bären          | 熊       | 隻 | animal big weak
rabbit      | rabbits      | das Kaninchen   | Kaninchen      | 兔子     | 隻 | animal big pet
book        | books        | das Buch        | Bücher         | 書       | 本 | thing goods big read write lie present show
letter      | letters      | der Brief       | Briefe         | 信       | 封 | thing read write lie send big
newspaper   | newspapers   | die Zeitung     | Zeitungen      | 報紙     | 份 | thing goods read lie
picture     | pictures     | das Bild        | Bilder         | 畫       | 幅 | thing goods big send show present pretty
story       | stories      | die Geschichte  | Geschichten    | 故事     | 個 | tell write
apple       | apples       | der Apfel       | Äpfel          | 蘋果     | 顆 | food fruit big red lie goods
pear        | pears        | die Birne       | Birnen         | 梨子     | 顆 | food fruit big lie goods
egg         | eggs         | das Ei          | Eier           | 雞蛋     | 顆 | food fruit big lie goods
cake        | cakes        | der Kuchen      | Kuchen         | 蛋糕     | 個 | food big stand goods present
ball        | balls        | der Ball        | Bälle          | 球       | 顆 | thing goods big colour lie present
hat         | hats         | der Hut         | Hüte           | 帽子     | 頂 | thing goods big colour lie present pretty
coat        | coats        | der Mantel      | Mäntel         | 外套     | 件 | thing goods colour lie washable pretty
dress       | dresses      | das Kleid       | Kleider        | 洋裝     | 件 | thing goods colour lie washable present pretty
shirt       | shirts       | das Hemd        | Hemden         | 襯衫     | 件 | thing goods colour lie washable present
umbrella    | umbrellas    | der Regenschirm | Regenschirme   | 雨傘     | 把 | thing goods big colour lie
key         | keys         | der Schlüssel   | Schlüssel      | 鑰匙     | 把 | thing big lie
knife       | knives       | das Messer      | Messer         | 刀子     | 把 | thing goods big lie
map         | maps         | die Landkarte   | Landkarten     | 地圖     | 張 | thing goods big lie show
bottle      | bottles      | die Flasche     | Flaschen       | 瓶子     | 個 | thing big colour stand open
cup         | cups         | die Tasse       | Tassen         | 杯子     | 個 | thing goods big colour stand pretty
lamp        | lamps        | die Lampe       | Lampen         | 檯燈     | 盞 | thing goods big colour stand repair pretty
clock       | clocks       | die Uhr         | Uhren          | 時鐘     | 個 | thing goods big stand repair present pretty
box         | boxes        | die Kiste       | Kisten         | 箱子     | 個 | thing big colour stand open carry
suitcase    | suitcases    | der Koffer      | Koffer         | 行李箱   | 個 | thing goods big colour stand open carry
chair       | chairs       | der Stuhl       | Stühle         | 椅子     | 把 | thing goods big colour repair carry pretty
table       | tables       | der Tisch       | Tische         | 桌子     | 張 | thing goods big repair carry pretty
cupboard    | cupboards    | der Schrank     | Schränke       | 櫃子     | 個 | thing goods big colour tidy open repair
window      | windows      | das Fenster     | Fenster        | 窗戶     | 扇 | big open repair building
door        | doors        | die Tür         | Türen          | 門       | 扇 | big open repair building
flower      | flowers      | die Blume       | Blumen         | 花       | 朵 | thing goods big colour present pretty motif
bicycle     | bicycles     | das Fahrrad     | Fahrräder      | 腳踏車   | 輛 | thing goods big colour repair washable pretty
car         | cars         | das Auto        | Autos          | 汽車     | 輛 | thing goods big colour repair washable
house       | houses       | das Haus        | Häuser         | 房子     | 棟 | goods big colour building pretty
room        | rooms        | das Zimmer      | Zimmer         | 房間     | 個 | place big tidy
coffee      | -            | der Kaffee      | -              | 咖啡     | -  | mass drink hot
tea         | -            | der Tee         | -              | 茶       | -  | mass drink hot
milk        | -            | die Milch       | -              | 牛奶     | -  | mass drink hot fresh animals
water       | -            | das Wasser      | -              | 水       | -  | mass drink hot fresh animals
juice       | -            | der Saft        | -              | 果汁     | -  | mass drink fresh
bread       | -            | das Brot        | -              | 麵包     | -  | mass food fresh
cheese      | -            | der Käse        | -              | 起司     | -  | mass food fresh
garden      | gardens      | der Garten      | Gärten         | 花園     | 座 | place big pretty motif
park        | parks        | der Park        | Parks          | 公園     | 座 | place big pretty
kitchen     | kitchens     | die Küche       | Küchen         | 廚房     | 間 | place big
school      | schools      | die Schule      | Schulen        | 學校     | 所 | place
city        | cities       | die Stadt       | Städte         | 城市     | 座 | place big pretty
market      | markets      | der Markt       | Märkte         | 市場     | 個 | place big
bridge      | bridges      | die Brücke      | Brücken        | 橋       | 座 | place big
street      | streets      | die Straße      | Straßen        | 街       | 條 | place
forest      | forests      | der Wald        | Wälder         | 森林     | 片 | place big pretty motif
village     | villages     | das Dorf        | Dörfer         | 村子     | 個 | place big pretty motif
café        | cafés        | das Café        | Cafés          | 咖啡館   | 間 | place big
museum      | museums      | das Museum      | Museen         | 博物館   | 座 | place big
library     | libraries    | die Bibliothek  | Bibliotheken   | 圖書館   | 座 | place big
station     | stations     | der Bahnhof     | Bahnhöfe       | 車站     | 座 | place big
beach       | beaches      | der Strand      | Strände        | 海邊     | 個 | place
lake        | lakes        | der See         | Seen           | 湖       | 座 | place big pretty motif
river       | rivers       | der Fluss       | Flüsse         | 河       | 條 | place big pretty
sea         | seas         | das Meer        | Meere          | 海       | 片 | place
bed         | beds         | das Bett        | Betten         | 床       | 張 | place big
floor       | floors       | der Boden       | Böden          | 地板     | 塊 | place
shelf       | shelves      | das Regal       | Regale         | 架子     | 個 | place big tidy
"""

# english | comparative | german stem | german | comparative | chinese before a noun | chinese predicate | nouns it goes with
ADJECTIVES = """
big       | bigger          | groß      | groß      | größer      | 大       | 大   | big
small     | smaller         | klein     | klein     | kleiner     | 小       | 小   | big child
old       | older           | alt       | alt       | älter       | 老       | 老   | animal adult thing
new       | newer           | neu       | neu       | neuer       | 新       | 新   | thing
young     | younger         | jung      | jung      | jünger      | 年輕的   | 年輕 | adult animal
beautiful | more beautiful  | schön     | schön     | schöner     | 漂亮的   | 漂亮 | pretty
expensive | more expensive  | teur      | teuer     | teurer      | 昂貴的   | 貴   | goods
cheap     | cheaper         | billig    | billig    | billiger    | 便宜的   | 便宜 | goods
heavy     | heavier         | schwer    | schwer    | schwerer    | 沉重的   | 重   | carry
friendly  | friendlier      | freundlich | freundlich | freundlicher | 友善的 | 友善 | person
clever    | cleverer        | klug      | klug      | klüger      | 聰明的   | 聰明 | person pet
rich      | richer          | reich     | reich     | reicher     | 富有的   | 富有 | adult
famous    | more famous     | berühmt   | berühmt   | berühmter   | 有名的   | 有名 | adult
tired     | more tired      | müd       | müde      | müder       | 疲倦的   | 累   | person animal
hungry    | hungrier        | hungrig   | hungrig   | hungriger   | 飢餓的   | 餓   | person animal
red       | -               | rot       | rot       | -           | 紅色的   | 紅   | colour red
blue      | -               | blau      | blau      | -           | 藍色的   | 藍   | colour
green     | -               | grün      | grün      | -           | 綠色的   | 綠   | colour
black     | -               | schwarz   | schwarz   | -           | 黑色的   | 黑   | colour animal
white     | -               | weiß      | weiß      | -           | 白色的   | 白   | colour animal
fresh     | -               | frisch    | frisch    | -           | 新鮮的   | 新鮮 | fresh
hot       | -               | heiß      | heiß      | -           | 熱       | 熱   | hot
cold      | -               | kalt      | kalt      | -           | 冷       | 冷   | hot
"""

# english: base past participle -ing (~particle, +preposition) | german: (prefix-)infinitive third participle (sein, +preposition)
# | chinese ({o} object, {i} receiver, {p} goal), its past if not just 了 | passive | frame | subjects | objects | flags
# (-past, -place: never with these; -now: no progressive; -later: no future, wish or duty; -habit: not every day;
# -gap: its object is neither asked for nor made relative)
VERBS = """
buy bought bought buying | kaufen kauft gekauft | 買 | 買走了 | acc | person | goods fruit |
sell sold sold selling | verkaufen verkauft verkauft | 賣 | 賣掉了 | acc | person | goods fruit |
read read read reading | lesen liest gelesen | 讀 | - | acc | person | read |
write wrote written writing | schreiben schreibt geschrieben | 寫 | - | acc | adult | write |
see saw seen seeing | sehen sieht gesehen | 看見 | 看見了 | acc | person animal | person animal thing | -now -later -habit
hear heard heard hearing | hören hört gehört | 聽見 | 聽見了 | acc | person animal | person animal | -now -later -habit
find found found finding | finden findet gefunden | 找到 | 找到了 | acc | person animal | animal thing food | -now -later -habit
lose lost lost losing | verlieren verliert verloren | 弄丟 | 弄丟了 | acc | person | lie | -now -later -habit
look looked looked looking +for | suchen sucht gesucht | 找 | - | acc | person animal | person animal thing | -past
paint painted painted painting | malen malt gemalt | 畫 | - | acc | person | animal motif fruit |
eat ate eaten eating | essen isst gegessen | 吃 | 吃掉了 | acc | person animal | food |
drink drank drunk drinking | trinken trinkt getrunken | 喝 | - | acc | person | drink |
wash washed washed washing | waschen wäscht gewaschen | 洗 | 洗乾淨了 | acc | person | washable |
tidy tidied tidied tidying ~up | auf-räumen räumt aufgeräumt | 整理 | 整理好了 | acc | person | tidy |
open opened opened opening | auf-machen macht aufgemacht | 打開 | 打開了 | acc | person | open |
close closed closed closing | zu-machen macht zugemacht | 關上 | 關上了 | acc | person | open |
invite invited invited inviting | ein-laden lädt eingeladen | 邀請 | 邀請了 | acc | person | person |
call called called calling | an-rufen ruft angerufen | 打電話給{o} 打了電話給{o} | - | acc | person | person | -gap
pick picked picked picking ~up | ab-holen holt abgeholt | 接 | - | acc | adult | person |
wake woke woken waking ~up | auf-wecken weckt aufgeweckt | 叫醒 | 叫醒了 | acc | person animal | person |
bring brought brought bringing ~along | mit-bringen bringt mitgebracht | 帶來 | - | acc | person | present fruit | -now
visit visited visited visiting | besuchen besucht besucht | 拜訪 | - | acc | person | person |
repair repaired repaired repairing | reparieren repariert repariert | 修理 | 修好了 | acc | adult | repair |
carry carried carried carrying | tragen trägt getragen | 搬 | 搬走了 | acc | person | carry |
steal stole stolen stealing | stehlen stiehlt gestohlen | 偷 | 偷走了 | acc | person animal | lie fruit |
feed fed fed feeding | füttern füttert gefüttert | 餵 | - | acc | person | animal |
know knew known knowing | kennen kennt gekannt | 認識 | - | acc | person | person | state definite
like liked liked liking | mögen mag gemocht | 喜歡 | - | acc | person | person animal pretty | state definite
need needed needed needing | brauchen braucht gebraucht | 需要 | - | acc | person | goods lie | state
have had had having | haben hat gehabt | 有 | - | acc | person | pet goods lie | state indefinite
wait waited waited waiting +for | warten wartet gewartet +auf | 等 | - | acc | person | person | -past -gap
help helped helped helping | helfen hilft geholfen | 幫助 | - | dat | person | person |
thank thanked thanked thanking | danken dankt gedankt | 感謝 | - | dat | person | person |
answer answered answered answering | antworten antwortet geantwortet | 回答 | - | dat | person | person |
give gave given giving | geben gibt gegeben | 給{i}{o} 給了{i}{o} | - | double | person | present lie |
show showed shown showing | zeigen zeigt gezeigt | 給{i}看{o} | - | double | person | show pet |
tell told told telling | erzählen erzählt erzählt | 給{i}講{o} | - | double | person | tell |
send sent sent sending | schicken schickt geschickt | 寄{o}給{i} | - | double | adult | send present | ba
lend lent lent lending | leihen leiht geliehen | 借{o}給{i} | - | double | person | thing | ba
put put put putting | legen legt gelegt | 把{o}放在{p} 把{o}放在{p}了 | - | put | person | lie |
put put put putting | stellen stellt gestellt | 把{o}放在{p} 把{o}放在{p}了 | - | put | person | stand |
go went gone going | gehen geht gegangen sein | 去{p} | - | goal | person | - |
go went gone going | fahren fährt gefahren sein | 去{p} | - | goal | person | - | vehicle
run ran run running | laufen läuft gelaufen sein | 跑去{p} | - | goal | child animal | - |
come came come coming | kommen kommt gekommen sein | 來{p} 來到了{p} | - | goal | person | - | -now -gap
return returned returned returning | zurück-kehren kehrt zurückgekehrt sein | 回到{p} | - | goal | person | - | -now
laugh laughed laughed laughing | lachen lacht gelacht | 笑 | - | none | person | - | -later
cry cried cried crying | weinen weint geweint | 哭 | - | none | person | - | -later
sing sang sung singing | singen singt gesungen | 唱歌 唱了歌 | - | none | person | - |
dance danced danced dancing | tanzen tanzt getanzt | 跳舞 跳了舞 | - | none | person | - |
swim swam swum swimming | schwimmen schwimmt geschwommen sein | 游泳 游了泳 | - | none | person | - | water
work worked worked working | arbeiten arbeitet gearbeitet | 工作 | - | none | adult | - | -past
sleep slept slept sleeping | schlafen schläft geschlafen | 睡覺 | - | none | person animal | - | -past
play played played playing | spielen spielt gespielt | 玩 | - | none | child pet | - | -past
get got got getting ~up | auf-stehen steht aufgestanden sein | 起床 | - | none | person | - | -now -place
fall fell fallen falling ~asleep | ein-schlafen schläft eingeschlafen sein | 睡著 | - | none | person | - | -now -later -habit
leave left left leaving | ab-reisen reist abgereist sein | 離開 | - | none | adult | - | -now -place -habit
"""

# noun | english | german, german goal | chinese place | suffix after a noun with an adjective | chinese goal | tags
PLACES = """
garden  | in | in in  | 花園裡   | 裡 | 花園   | town goal
park    | in | in in  | 公園裡   | 裡 | 公園   | town goal
kitchen | in | in in  | 廚房裡   | 裡 | 廚房   | town goal
school  | at | in in  | 學校裡   | 裡 | 學校   | town goal
city    | in | in in  | 城裡     | 裡 | 城裡   | town goal far
market  | at | auf auf | 市場上  | 上 | 市場   | town goal
bridge  | on | auf auf | 橋上    | 上 | 橋上   | town
street  | on | auf auf | 街上    | 上 | 街上   | town
forest  | in | in in  | 森林裡   | 裡 | 森林   | town goal far
village | in | in in  | 村子裡   | 裡 | 村子   | town goal far
café    | in | in in  | 咖啡館裡 | 裡 | 咖啡館 | town goal
museum  | in | in in  | 博物館裡 | 裡 | 博物館 | town goal
library | in | in in  | 圖書館裡 | 裡 | 圖書館 | town goal
station | at | an zu  | 車站     |    | 車站   | town goal
beach   | on | an an  | 海邊     |    | 海邊   | town goal far
lake    | in | in an  | 湖裡     | 裡 | 湖邊   | water
river   | in | in an  | 河裡     | 裡 | 河邊   | water
sea     | in | in an  | 海裡     | 裡 | 海邊   | water
table   | on | auf auf | 桌子上  | 上 | 桌子上 | lie stand
chair   | on | auf auf | 椅子上  | 上 | 椅子上 | lie stand
bed     | on | auf auf | 床上    | 上 | 床上   | lie
floor   | on | auf auf | 地板上  | 上 | 地板上 | lie stand
shelf   | on | in in  | 架子上   | 上 | 架子上 | lie stand
box     | in | in in  | 箱子裡   | 裡 | 箱子裡 | lie
suitcase | in | in in | 行李箱裡 | 裡 | 行李箱裡 | lie
"""
